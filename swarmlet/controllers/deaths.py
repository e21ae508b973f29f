"""When a node is gone: when a majority of the voters holds it for gone, each by its own failure detector.

Rules:
- One node's view never moves work, the leader's no more than another's: a cut near one node looks like the death of
  everyone behind it.
- A voter's opinion counts as long as it is fresh. A voter that says nothing (it may be the dead one) counts against the
  quorum by its silence alone; learners have no say. While voters are being replaced, both sets must agree.
- Nobody has an opinion of itself. A node that its agent stopped on purpose says so itself and needs no quorum.
- A voter that knows a node from the log but not at all by gossip holds it for gone once it has listened long enough.

Decision record 0038.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness, ObservedState

FRESH_S = 3.0
"""An opinion is repeated every second; two may get lost."""


@dataclass(frozen=True, slots=True)
class Opinion:
    gone: frozenset[NodeId]
    heard_at: float
    """In the clock of `now`."""


def held_for_gone(
    own: NodeId, observed: ObservedState, agreed: Iterable[NodeId], listened_s: float, unseen_after_s: float
) -> frozenset[NodeId]:
    """This node's opinion: whom its failure detector holds for dead, or never heard of in `listened_s`."""
    gone = {id_ for id_, node in observed.nodes.items() if node.liveness is Liveness.DEAD}
    if listened_s >= unseen_after_s:
        gone |= set(agreed) - observed.nodes.keys()
    return frozenset(gone - {own})


def agreed_gone(
    voter_sets: Iterable[frozenset[NodeId]], opinions: Mapping[NodeId, Opinion], now: float
) -> frozenset[NodeId]:
    """Whom a majority of every (non-empty) set of voters holds for gone."""
    fresh = {voter: opinion for voter, opinion in opinions.items() if now - opinion.heard_at <= FRESH_S}
    verdicts = [_majority_of(voters, fresh) for voters in voter_sets if voters]
    return frozenset.intersection(*verdicts) if verdicts else frozenset()


def _majority_of(voters: frozenset[NodeId], opinions: Mapping[NodeId, Opinion]) -> frozenset[NodeId]:
    said = [opinions[voter].gone for voter in voters if voter in opinions]
    accused = frozenset[NodeId]().union(*said)
    return frozenset(node for node in accused if sum(node in gone for gone in said) >= quorum_of(voters))


def quorum_of(voters: frozenset[NodeId]) -> int:
    return len(voters) // 2 + 1


def voters_in_reach(own: NodeId, voters: frozenset[NodeId], observed: ObservedState) -> int:
    """How many of the voters answer as far as this node knows, itself included if it is one.

    Suspects don't count: a node that hears nobody suspects all, and declares nobody dead for a while.
    """
    return sum(voter == own or observed.liveness(voter) is Liveness.ALIVE for voter in voters)
