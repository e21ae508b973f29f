"""Who should vote: one change of the consensus' membership at a time, or none.

Rules:
- Every live member takes part, at least as a learner: adding a learner touches no quorum.
- The wanted number of voters is odd: 1 below three live nodes, 3 from three, 5 from seven. It grows with the
  live nodes and never shrinks with deaths: a quorum is not made smaller because some of it can't be heard.
- Voters grow from one odd number to the next. The step from 1 to 2 is taken only when a third is ready too,
  since two voters bear less than one does.
- A voter that has been dead for long enough is demoted only if a live learner that has caught up can take its
  place. The place is filled by the next change.
- An even number that can't be completed, since no learner lives, is made odd again by demoting one.
- No change that its own voters could not commit: before and after it a majority of the voters lives. None
  while another change is in flight.

Source: Ongaro's dissertation §4 (membership one server at a time); etcd's learners and Consul's autopilot for
the stabilisation time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness


@dataclass(frozen=True, slots=True)
class AddLearner:
    node: NodeId


@dataclass(frozen=True, slots=True)
class Promote:
    node: NodeId


@dataclass(frozen=True, slots=True)
class Demote:
    node: NodeId


VoterChange = AddLearner | Promote | Demote


@dataclass(frozen=True, slots=True)
class VoterSettings:
    dead_after_s: float = 10.0
    """Longer than an agent's restart, shorter than what a second failure would take on average."""
    lag_entries_max: int = 100
    """A learner this close to the commit index has caught up: a tenth of a second's work of the log."""


DEFAULT_SETTINGS = VoterSettings()


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the leader's own consensus knows."""

    leader: NodeId
    voters: frozenset[NodeId]
    learners: frozenset[NodeId]
    commit_index: int
    match_index: Mapping[NodeId, int]
    """How far each peer's log is known to agree with the leader's."""
    change_in_flight: bool = False


@dataclass(frozen=True, slots=True)
class Liveliness:
    """What the failure detector says."""

    of: Mapping[NodeId, Liveness]
    dead_since: Mapping[NodeId, float] = field(default_factory=dict)
    """For nodes that are DEAD or LEFT: since when, in the clock of `now`. A missing one has died this moment."""

    def dead_for_s(self, node: NodeId, now: float) -> float:
        if self.of.get(node) not in (Liveness.DEAD, Liveness.LEFT):
            return 0.0
        return now - self.dead_since.get(node, now)


def voters_wanted(live_nodes: int) -> int:
    if live_nodes >= 7:
        return 5
    return 3 if live_nodes >= 3 else 1


def next_change(
    consensus: Consensus, members: Liveliness, now: float, settings: VoterSettings = DEFAULT_SETTINGS
) -> VoterChange | None:
    """The one change that is most wanted and safe; the leader's own node always counts as alive."""
    if consensus.change_in_flight:
        return None
    live = frozenset(node for node, each in members.of.items() if each is Liveness.ALIVE) | {consensus.leader}
    outsiders = live - consensus.voters - consensus.learners
    if outsiders:
        return AddLearner(min(outsiders))
    ready = _ready_learners(consensus, live, settings)
    dead = [node for node in consensus.voters - live if members.dead_for_s(node, now) >= settings.dead_after_s]
    dead.sort(key=lambda node: (-members.dead_for_s(node, now), node))
    return (
        _fill(consensus, live, ready)
        or (_demote_first_safe(consensus, live, dead) if ready else None)
        or _make_odd(consensus, live)
    )


def _ready_learners(consensus: Consensus, live: frozenset[NodeId], settings: VoterSettings) -> list[NodeId]:
    """Live learners that have caught up, the furthest first."""
    match, near = consensus.match_index, consensus.commit_index - settings.lag_entries_max
    ready = [node for node in consensus.learners & live if node in match and match[node] >= near]
    return sorted(ready, key=lambda node: (-match[node], node))


def _fill(consensus: Consensus, live: frozenset[NodeId], ready: list[NodeId]) -> VoterChange | None:
    count = len(consensus.voters)
    is_odd = count % 2 == 1
    grows = is_odd and count < voters_wanted(len(live)) and len(ready) >= 2
    completes = not is_odd and len(ready) >= 1
    if (grows or completes) and _is_safe(consensus.voters, consensus.voters | {ready[0]}, live):
        return Promote(ready[0])
    return None


def _make_odd(consensus: Consensus, live: frozenset[NodeId]) -> VoterChange | None:
    """A learner that lives but lags will complete the number soon; only without any is a voter let go."""
    if len(consensus.voters) % 2 == 1 or consensus.learners & live:
        return None
    match = consensus.match_index
    others = sorted(consensus.voters - {consensus.leader}, key=lambda node: (node in live, match.get(node, 0), node))
    return _demote_first_safe(consensus, live, others)


def _demote_first_safe(consensus: Consensus, live: frozenset[NodeId], candidates: list[NodeId]) -> VoterChange | None:
    for node in candidates:
        if _is_safe(consensus.voters, consensus.voters - {node}, live):
            return Demote(node)
    return None


def _is_safe(before: frozenset[NodeId], after: frozenset[NodeId], live: frozenset[NodeId]) -> bool:
    return _has_majority(before, live) and _has_majority(after, live)


def _has_majority(voters: frozenset[NodeId], live: frozenset[NodeId]) -> bool:
    return len(voters & live) >= len(voters) // 2 + 1
