"""Who should vote: one change of the consensus' membership at a time, or none.

Rules:
- Every live member takes part, at least as a learner: adding a learner touches no quorum.
- The wanted number of voters is odd: 1 below three live nodes, 3 from three, 5 from seven. Five stay five while five
  nodes last, and three never become fewer by deaths alone: a quorum is not made smaller because some of it can't be
  heard. Nodes that left on purpose don't count.
- A voter that has been dead for long enough gives its place to a live learner that has caught up, in one change.
  It stays while nobody can take its place, unless fewer voters are wanted.
- Voters are spread over failure domains: a place goes to the zone with the fewest voters, and a voter of a crowded
  zone gives its place to a learner of an emptier one. A node without a zone is a zone of its own.
- The leader keeps its vote. No number of voters is made even.
- Where people have listed the voters, the list is kept to: as soon as all on it can vote, they do, dead or alive.
- No change that its own voters could not commit: before and after it a majority of the voters lives. None while
  another change is in flight.
- Who left for good is removed, so that it does not stay a learner for ever.

Source: Ongaro's dissertation §4; etcd's learners; Consul's autopilot for the stabilisation time, redundancy zones.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness

Zone = tuple[str, str]
GONE = (Liveness.DEAD, Liveness.LEFT)


@dataclass(frozen=True, slots=True)
class AddLearner:
    node: NodeId


@dataclass(frozen=True, slots=True)
class SetVoters:
    """Let exactly these vote. Who votes no more stays as a learner, unless it is among the removed."""

    voters: frozenset[NodeId]
    removed: frozenset[NodeId] = frozenset()


@dataclass(frozen=True, slots=True)
class Remove:
    node: NodeId


VoterChange = AddLearner | SetVoters | Remove


@dataclass(frozen=True, slots=True)
class VoterSettings:
    dead_after_s: float = 10.0
    """Longer than an agent's restart, shorter than what a second failure would take on average."""
    left_after_s: float = 30.0
    """After so long a node that left is not expected to return; its tasks are replaced then too."""
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
    """How far the log of each peer that answers the leader is known to agree with the leader's own."""
    change_in_flight: bool = False


@dataclass(frozen=True, slots=True)
class Liveliness:
    """What gossip says: the failure detector's verdicts, and what nodes say of themselves."""

    of: Mapping[NodeId, Liveness]
    gone_since: Mapping[NodeId, float] = field(default_factory=dict)
    """For nodes that are DEAD or LEFT: since when, in the clock of `now`. A missing one has died this moment."""
    zones: Mapping[NodeId, str] = field(default_factory=dict)

    def gone_for_s(self, node: NodeId, now: float) -> float:
        if self.of.get(node) not in GONE:
            return 0.0
        return now - self.gone_since.get(node, now)

    def zone(self, node: NodeId) -> Zone:
        name = self.zones.get(node, "")
        return ("zone", name) if name else ("node", node)


def voters_wanted(live: int, lasting: int, staying: int, voters: int) -> int:
    """How many, of: nodes alive; nodes not given up as dead; nodes that have not left for good; present voters."""
    if live >= 7 or (voters >= 5 and lasting >= 5):
        return 5
    if live >= 3 or (voters >= 3 and staying >= 3):
        return 3
    return 1


def next_change(
    consensus: Consensus,
    members: Liveliness,
    now: float,
    listed: frozenset[NodeId] | None = None,
    settings: VoterSettings = DEFAULT_SETTINGS,
) -> VoterChange | None:
    """The one change that is most wanted and safe; the leader's own node always counts as alive.

    `listed` are the voters that people have chosen; None leaves the choice to the rules.
    """
    if consensus.change_in_flight:
        return None
    scene = _Scene(consensus, members, now, settings)
    outsiders = scene.live - consensus.voters - consensus.learners
    if outsiders:
        return AddLearner(min(outsiders))
    target = _chosen(scene) if listed is None else _listed(scene, listed)
    if target != consensus.voters and scene.is_safe(target):
        return SetVoters(target, (consensus.voters - target) & scene.left)
    departed = consensus.learners & scene.left
    return Remove(min(departed)) if departed else None


def next_look_s(
    consensus: Consensus, members: Liveliness, now: float, settings: VoterSettings = DEFAULT_SETTINGS
) -> float | None:
    """In how many seconds the passing of time alone may change the answer; None if never."""
    limits = {Liveness.DEAD: (settings.dead_after_s,), Liveness.LEFT: (settings.dead_after_s, settings.left_after_s)}
    ahead = [
        limit - members.gone_for_s(node, now)
        for node in consensus.voters | consensus.learners
        for limit in limits.get(members.of.get(node, Liveness.ALIVE), ())
    ]
    return min((each for each in ahead if each > 0), default=None)


class _Scene:
    """Who is what, at one moment."""

    def __init__(self, consensus: Consensus, members: Liveliness, now: float, settings: VoterSettings) -> None:
        self.consensus, self.members = consensus, members
        self.live = frozenset(n for n, each in members.of.items() if each is Liveness.ALIVE) | {consensus.leader}
        known = consensus.voters | consensus.learners | self.live
        gone_for_s = {node: members.gone_for_s(node, now) for node in known - {consensus.leader}}
        self.given_up = frozenset(node for node, gone_s in gone_for_s.items() if gone_s >= settings.dead_after_s)
        self.left = frozenset(
            node
            for node, gone_s in gone_for_s.items()
            if members.of.get(node) is Liveness.LEFT and gone_s >= settings.left_after_s
        )
        self.wanted = voters_wanted(
            live=len(self.live),
            lasting=len(known - self.given_up),
            staying=len(known - self.left),
            voters=len(consensus.voters),
        )
        near = consensus.commit_index - settings.lag_entries_max
        match = consensus.match_index
        self.ready = frozenset(n for n in consensus.learners & self.live if n in match and match[n] >= near)

    def is_safe(self, target: frozenset[NodeId]) -> bool:
        return has_majority(self.consensus.voters, self.live) and has_majority(target, self.live)

    def best(self, candidates: Iterable[NodeId], beside: Iterable[NodeId]) -> NodeId:
        """Of the emptiest zone; of equals the one with the longest log."""
        crowd = Counter(map(self.members.zone, beside))
        match = self.consensus.match_index
        return min(candidates, key=lambda node: (crowd[self.members.zone(node)], -match.get(node, 0), node))

    def worst(self, candidates: Iterable[NodeId], among: Iterable[NodeId]) -> NodeId:
        """One that can't be heard, else of the most crowded zone, else with the shortest log."""
        crowd = Counter(map(self.members.zone, among))
        match = self.consensus.match_index
        return min(
            candidates,
            key=lambda node: (node in self.live, -crowd[self.members.zone(node)], match.get(node, 0), node),
        )


def has_majority(voters: frozenset[NodeId], live: frozenset[NodeId]) -> bool:
    return len(voters & live) >= len(voters) // 2 + 1


def _listed(scene: _Scene, listed: frozenset[NodeId]) -> frozenset[NodeId]:
    """The list when everybody on it can vote; till then the present voters."""
    voters = scene.consensus.voters
    return listed if listed <= voters | scene.ready else voters


def _chosen(scene: _Scene) -> frozenset[NodeId]:
    voters = scene.consensus.voters
    target = set(voters - scene.given_up)
    while len(target) > scene.wanted:
        target.discard(scene.worst(target - {scene.consensus.leader}, target))
    added: list[NodeId] = []
    for spare in (scene.ready, voters & scene.given_up):
        # A voter that was given up keeps its place while nobody can take it.
        while len(target) < scene.wanted and spare - target:
            added.append(scene.best(spare - target, target))
            target.add(added[-1])
    if len(target) % 2 == 0 and len(target) > len(voters) - len(voters & scene.given_up) and added:
        target.discard(added[-1])
    if target == voters:
        return _spread(scene, frozenset(target))
    return frozenset(target)


def _spread(scene: _Scene, voters: frozenset[NodeId]) -> frozenset[NodeId]:
    """One voter exchanged for a learner of an emptier zone, where that spreads them better and all are well."""
    others = voters - {scene.consensus.leader}
    if not (others and scene.ready and voters <= scene.live):
        return voters
    leaving = scene.worst(others, voters)
    staying = voters - {leaving}
    spread = staying | {scene.best(scene.ready, staying)}
    return spread if _crowding(scene, spread) < _crowding(scene, voters) else voters


def _crowding(scene: _Scene, voters: frozenset[NodeId]) -> int:
    """Least where all zones have equally many; an exchange that makes it smaller can't be followed by its reverse."""
    return sum(count * count for count in Counter(map(scene.members.zone, voters)).values())
