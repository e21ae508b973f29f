"""The form of the rules: filters that refuse nodes, scores that rank those which are left.

A rule is asked once per request what it has to do with such a task (as `PreFilter` and `PreScore` of Kubernetes'
framework are) and answers with what is then asked per node; a rule that has nothing to do with it costs nothing.

What `ClusterCapacity` relies on:
- A filter never turns from no to yes because another task of the same request was placed.
- What a rule says of a node changes only when a task is placed in the node's place: on the node itself, or, where it
  names an attribute in `per`, on any node with the same value of it; there it says the same of all these nodes.
- What a rule `per` an attribute says never gets better when a task of the same request is placed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from swarmlet.model.placement import NODE_ID
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.nodes import NodeView, PlacementRequest


@dataclass(frozen=True, slots=True)
class Refusing:
    refusal: Callable[[NodeView], str | None]
    """Why the task can't go there, in words for people; None if this rule has nothing against it."""
    per: str = NODE_ID


@dataclass(frozen=True, slots=True)
class Ranking:
    value: Callable[[NodeView], float]
    """Lower is better."""
    explain: Callable[[NodeView], str]
    """What the number is made of, in words for people."""
    per: str = NODE_ID


class Filter(Protocol):
    name: ClassVar[str]
    fixed: ClassVar[bool]
    """It looks at nothing that changes as tasks are placed."""

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]: ...


class Score(Protocol):
    name: ClassVar[str]

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]: ...


@dataclass(frozen=True, slots=True)
class Rules:
    filters: Sequence[Filter]
    """In the order in which they are asked: the first refusal is the reason given."""
    scores: Sequence[Score]
    """A later one decides only what earlier ones leave equal."""


Rank = tuple[float | str, ...]
"""What nodes are ordered by: the scores, then name and id."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All rules that have to do with one request."""

    filters: Sequence[tuple[Filter, Refusing]]
    scores: Sequence[tuple[Score, Ranking]]

    @classmethod
    def of(cls, request: PlacementRequest, cluster: Cluster, rules: Rules) -> "Prepared":
        return cls(
            [(rule, refusing) for rule in rules.filters for refusing in rule.refusing(request, cluster)],
            [(rule, ranking) for rule in rules.scores for ranking in rule.ranking(request, cluster)],
        )

    @classmethod
    def filters_of(cls, request: PlacementRequest, cluster: Cluster, rules: Rules) -> "Prepared":
        """For who only wants to know which nodes refuse the task."""
        return cls.of(request, cluster, Rules(rules.filters, ()))

    @property
    def looks_beyond_nodes(self) -> bool:
        """What a filter says of a node may change with what happens on another one."""
        return any(refusing.per != NODE_ID for _rule, refusing in self.filters)

    def refusal(self, node: NodeView) -> str | None:
        for _rule, refusing in self.filters:
            reason = refusing.refusal(node)
            if reason is not None:
                return reason
        return None

    def rank(self, node: NodeView) -> Rank:
        return (*[ranking.value(node) for _rule, ranking in self.scores], node.name, node.id)
