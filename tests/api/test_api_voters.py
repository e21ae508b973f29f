"""What people see of the voters, and how they choose them."""

from pathlib import Path

from api_builders import NODE, a_peer, an_api

from swarmlet.api.schema import RaftRole, VotersView
from swarmlet.api.views import Moment
from swarmlet.api.voter_views import voters_view
from swarmlet.drivers.log_positions import LogPositions, Position
from swarmlet.model.frozen import encode
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import VoterList
from swarmlet.model.observed import Address, Liveness, NodeFacts, ObservedNode, ObservedState
from swarmlet.model.state import ClusterState
from swarmlet.raft import Membership

N1, N2, N3, N4 = (NodeId(f"id{number}") for number in range(1, 5))
LIVENESS = {N1: Liveness.ALIVE, N2: Liveness.ALIVE, N3: Liveness.DEAD, N4: Liveness.ALIVE}
ZONES = {N1: "rack1", N2: "rack2"}


def a_view(
    membership: Membership, positions: LogPositions | None = None, listed: tuple[NodeId, ...] = (), leads: bool = True
) -> VotersView:
    nodes = {}
    for node, liveness in LIVENESS.items():
        facts = NodeFacts(
            name=f"node-{node}", version="1", runtime="fake", cpus=1, memory_bytes=1, zone=ZONES.get(node, "")
        )
        nodes[node] = ObservedNode(node, f"node-{node}", Address("127.0.0.1", 1), liveness, facts)
    objects = [(VoterList(nodes=listed).key, encode(VoterList(nodes=listed)), 1)] if listed else []
    moment = Moment(
        state=ClusterState.of(objects, 1),
        observed=ObservedState(nodes),
        roles={N1: RaftRole.LEADER} if leads else {},
        leader=N1 if leads else None,
        now=0.0,
    )
    return voters_view(moment, membership, 7, positions)


def membership(voters: str, learners: str = "", outgoing: str = "") -> Membership:
    return Membership(*(frozenset(NodeId(f"id{digit}") for digit in group) for group in (voters, learners, outgoing)))


def test_voters_come_first_with_zone_lag_and_health() -> None:
    positions = LogPositions(
        5_000, {N1: Position(5_000, True), N2: Position(4_990, True), N3: Position(100, False), N4: Position(3, True)}
    )

    view = a_view(membership("123", "4"), positions)

    shown = [(one.id, one.votes, one.zone, one.health, one.lag) for one in view.items]
    assert shown == [
        (N1, True, "rack1", "healthy", 0),
        (N2, True, "rack2", "healthy", 10),
        (N3, True, "", "dead", 4_900),
        (N4, False, "", "behind", 4_997),
    ]
    assert (view.automatic, view.problem, view.term, view.leader) == (True, "", 7, "node-id1")


def test_without_a_leader_nobody_says_how_far_the_logs_are() -> None:
    view = a_view(membership("123"), leads=False)

    assert [one.lag for one in view.items] == [None, None, None]
    assert view.last_index is None
    assert view.problem.startswith("no leader")


def test_a_member_that_lives_and_does_not_answer_the_leader_is_silent() -> None:
    view = a_view(membership("12"), LogPositions(9, {N1: Position(9, True), N2: Position(9, False)}))

    assert [one.health for one in view.items] == ["healthy", "silent"]


def test_a_list_that_is_not_followed_yet_says_for_whom_it_waits() -> None:
    view = a_view(membership("123"), listed=(N1, N2, N4))

    assert not view.automatic
    assert view.listed == ["node-id1", "node-id2", "node-id4"]
    assert "node-id4 not yet" in view.problem
    assert {one.id: (one.listed, one.votes) for one in view.items}[N4] == (True, False)


def test_who_is_about_to_lose_its_vote_still_votes() -> None:
    view = a_view(membership("124", "3", outgoing="123"), listed=(N1, N2, N4))

    assert view.changing
    assert [one.votes for one in view.items] == [True] * 4


async def test_a_peer_shows_its_voters_and_takes_a_list_and_gives_it_up(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as api:
        peer.membership.join(())
        chosen = await api.put("/v1/voters", json={"voters": ["node1"]})
        listed = await (await api.get("/v1/voters")).json()
        warnings = (await chosen.json())["warnings"]
        released = await api.put("/v1/voters", json={"voters": None})
        after = await (await api.get("/v1/voters")).json()

    assert (chosen.status, released.status) == (200, 200)
    assert "one voter alone" in warnings[0]
    assert (listed["automatic"], listed["listed"], listed["problem"]) == (False, ["node1"], "")
    assert [(one["id"], one["role"], one["lag"]) for one in listed["items"]] == [(NODE, "leader", 0)]
    assert after["automatic"]


async def test_what_can_not_be_followed_is_refused_in_words(tmp_path: Path) -> None:
    async with a_peer(tmp_path) as peer, an_api(peer) as api:
        unknown = await api.put("/v1/voters", json={"voters": ["nobody"]})
        none = await api.put("/v1/voters", json={"voters": []})
        unreadable = await api.put("/v1/voters", json={})
        details = [(await answer.json())["detail"] for answer in (unknown, none)]

    assert [answer.status for answer in (unknown, none, unreadable)] == [404, 422, 422]
    assert "no node has the name or id 'nobody'" in details[0]
    assert "name at least one node" in details[1]
