"""Voters tell the leader whom they hold for gone, over their streams; on real nodes."""

from contextlib import suppress
from pathlib import Path

import msgpack
import pytest
from drivers_builders import nodes, until
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.drivers.death_quorum import GONE, IDS_MAX, decode_opinion, encode_opinion
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import NodeStatus

X = NodeId("x" * 16)
OPINION = encode_opinion(frozenset({X}))


async def test_the_leader_goes_by_what_a_majority_of_voters_told_it(tmp_path: Path) -> None:
    async with nodes(tmp_path, 4) as made:
        leader = await made.led()
        voters = leader.consensus.raft.membership.voters
        followers = [node for node in made if node is not leader and node.id in voters]
        learner = next(node for node in made if node.id not in voters)

        for teller in (learner, followers[0]):
            assert teller.network.notify(leader.id, GONE, OPINION)
        await until(lambda: followers[0].id in leader.deaths._opinions)
        assert leader.deaths.confirmed() == set(), "a learner and one of three voters"

        assert followers[1].network.notify(leader.id, GONE, OPINION)
        await until(lambda: leader.deaths.confirmed() == {X})
        assert learner.id not in leader.deaths._opinions

        assert followers[1].network.notify(leader.id, GONE, encode_opinion(frozenset()))
        await until(lambda: leader.deaths.confirmed() == set())
        assert followers[1].network.notify(leader.id, GONE, b"\xc1")
        await until(lambda: leader.deaths.malformed == 1)


async def test_a_node_that_is_gone_for_all_is_down_and_one_that_is_alone_says_so_and_declares_nobody_down(
    tmp_path: Path,
) -> None:
    async with nodes(tmp_path) as made:
        leader = await made.led()
        first, second = (node for node in made if node is not leader)

        def status(id_: NodeId) -> NodeStatus | None:
            found = leader.consensus.replica.state.nodes.get(id_)
            return found.value.status if found else None

        await until(lambda: {status(node.id) for node in made} == {NodeStatus.UP})
        await made.stop(made.name_of(first))
        await until(lambda: status(first.id) is NodeStatus.DOWN)
        assert leader.deaths.problems() == []

        await made.stop(made.name_of(second))
        await until(lambda: any("alone: 1 of 3 voters" in each for each in leader.deaths.problems()))
        assert second.id not in leader.deaths.confirmed()
        assert status(second.id) is NodeStatus.UP


IDS = st.lists(st.one_of(st.text(max_size=70), st.integers(), st.none(), st.binary(max_size=4)), max_size=5)


@given(st.one_of(st.binary(max_size=60), IDS.map(lambda ids: encode_opinion(frozenset(map(str, ids))))))
def test_an_opinion_from_elsewhere_is_an_opinion_or_refused(body: bytes) -> None:
    gone = decode_opinion(body)

    assert gone is None or all(1 <= len(each) <= 64 for each in gone)
    with suppress(UnicodeEncodeError):
        assert gone is None or decode_opinion(encode_opinion(gone)) == gone


@pytest.mark.parametrize("ids", [[1], [""], ["x" * 65], "x", {"x": 1}, None, ["x"] * (IDS_MAX + 1)])
def test_what_is_no_list_of_ids_is_refused(ids: object) -> None:
    assert decode_opinion(msgpack.packb(ids)) is None
