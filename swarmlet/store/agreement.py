"""Whether replicas that applied the same log hold the same state, and if not, who is wrong.

Rules:
- The state is hashed at the same places everywhere: at the log indices that `HASH_EVERY` divides. A replica remembers
  the last few, some of them far apart, so that two that are not equally far still have one in common.
- Two points are compared where index and term are equal: then both logs are the same up to there (Raft §5.3, log
  matching), and so must be what was made of them. Anything else is no evidence.
- A majority of the voters is right. Without one (two voters that disagree) nobody is, and people have to decide.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from swarmlet.model.ids import NodeId

HASH_FORMAT = 1
"""Of what is hashed, and how. Points of different formats are not compared."""
HASH_EVERY = 64
LEVELS = tuple(HASH_EVERY * 4**step for step in range(5))
"""At each of these distances the last `POINTS_KEPT` are remembered. The longest is more than replicas are apart."""
POINTS_KEPT = 2


@dataclass(frozen=True, slots=True)
class HashPoint:
    index: int
    term: int
    """Of the log entry at `index`."""
    state_hash: str


class HashTrail:
    """The points that a replica passed lately."""

    def __init__(self) -> None:
        self._levels: dict[int, deque[HashPoint]] = {level: deque(maxlen=POINTS_KEPT) for level in LEVELS}

    def reached(self, point: HashPoint) -> None:
        assert point.index % HASH_EVERY == 0, f"index {point.index} is none of those agreed on"
        for level, points in self._levels.items():
            if point.index % level == 0:
                points.append(point)

    def points(self) -> tuple[HashPoint, ...]:
        """In their order."""
        unique = {point.index: point for points in self._levels.values() for point in points}
        return tuple(unique[index] for index in sorted(unique))

    def clear(self) -> None:
        """What was remembered says nothing of the present state, which was put in place as a whole."""
        for points in self._levels.values():
            points.clear()


@dataclass(frozen=True, slots=True)
class Disagreement:
    point: HashPoint
    """As the one that is wrong has it."""
    right: frozenset[NodeId]
    """The majority that holds another state there."""


@dataclass(frozen=True, slots=True)
class Comparison:
    wrong: Mapping[NodeId, Disagreement] = field(default_factory=dict)
    undecided: Mapping[int, frozenset[NodeId]] = field(default_factory=dict)
    """Log index -> the nodes that differ there among each other; none of their states can be a majority's any more."""


def compare(
    known: Mapping[NodeId, Iterable[HashPoint]], voters: Set[NodeId], awaited: Set[NodeId] = frozenset()
) -> Comparison:
    """What the points known of each node say together. Voters that are `awaited` may still decide where they miss."""
    wrong: dict[NodeId, Disagreement] = {}
    undecided: dict[int, frozenset[NodeId]] = {}
    for (index, _), points in _by_place(known).items():
        holders: dict[str, set[NodeId]] = {}
        for node, point in points.items():
            holders.setdefault(point.state_hash, set()).add(node)
        if len(holders) == 1:
            continue
        right = max(holders.values(), key=lambda nodes: len(nodes & voters))
        votes = len(right & voters)
        if 2 * votes <= len(voters):
            if 2 * (votes + len((awaited & voters) - points.keys())) <= len(voters):
                undecided[index] = frozenset(points)
            continue
        for node in points.keys() - right:
            wrong[node] = Disagreement(points[node], frozenset(right))
    return Comparison(wrong, undecided)


def _by_place(known: Mapping[NodeId, Iterable[HashPoint]]) -> dict[tuple[int, int], dict[NodeId, HashPoint]]:
    """The points by (index, term), the lowest first."""
    places: dict[tuple[int, int], dict[NodeId, HashPoint]] = {}
    for node, points in known.items():
        for point in points:
            places.setdefault((point.index, point.term), {})[node] = point
    return dict(sorted(places.items()))
