"""The voters at one moment, for people. Pure."""

from swarmlet.api.schema import RaftRole, VotersView, VoterView
from swarmlet.api.views import Moment
from swarmlet.drivers.log_positions import LogPositions
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness
from swarmlet.raft import Membership

BEHIND_ENTRIES = 1_000
"""A member that is further behind is called so; less is under way in a busy moment."""


def voters_view(moment: Moment, membership: Membership, term: int, positions: LogPositions | None) -> VotersView:
    stored = moment.state.voter_list
    listed = frozenset(stored.value.nodes) if stored else None
    members = membership.members | (listed or frozenset())
    items = [_voter(moment, node, membership, listed, positions) for node in members]
    return VotersView(
        automatic=listed is None,
        listed=sorted(map(moment.node_name, listed or ())),
        changing=membership.is_joint,
        term=term,
        leader=moment.node_name(moment.leader) if moment.leader else None,
        last_index=positions.last_index if positions else None,
        problem=_problem(moment, membership, listed),
        items=sorted(items, key=lambda view: (not view.votes, view.name, view.id)),
    )


def _voter(
    moment: Moment,
    node: NodeId,
    membership: Membership,
    listed: frozenset[NodeId] | None,
    positions: LogPositions | None,
) -> VoterView:
    observed = moment.observed.nodes.get(node)
    position = positions.of.get(node) if positions else None
    lag = positions.last_index - position.match_index if positions and position else None
    liveness = observed.liveness if observed else None
    health = liveness or "unknown"
    if liveness is Liveness.ALIVE:
        silent = position is not None and not position.answers
        health = "silent" if silent else "behind" if lag is not None and lag > BEHIND_ENTRIES else "healthy"
    return VoterView(
        id=node,
        name=moment.node_name(node),
        role=moment.roles.get(node, RaftRole.NONE),
        votes=membership.is_voter(node),
        listed=listed is not None and node in listed,
        zone=observed.facts.zone if observed and observed.facts else "",
        health=health,
        match_index=position.match_index if position else None,
        lag=lag,
    )


def _problem(moment: Moment, membership: Membership, listed: frozenset[NodeId] | None) -> str:
    if moment.leader is None:
        return "no leader: nothing can be changed until a majority of voters is back"
    if membership.is_joint:
        return "the voters are being changed"
    if listed is None or listed == membership.voters:
        return ""
    waiting = sorted(map(moment.node_name, listed - membership.voters))
    if waiting:
        return f"the list is followed once all on it have the log and a majority is alive; {', '.join(waiting)} not yet"
    return "the list is followed once a majority of those on it is alive"
