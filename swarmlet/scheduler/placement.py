"""One question, one answer: `place` finds the best node for one task or says, per node, why there is none.

`explain` gives the verdict of every rule on every node, for people.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarmlet.model.ids import NodeId
from swarmlet.scheduler.filters import FILTERS, Filter
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.scores import SCORES, Score

Rank = tuple[float | str, ...]
"""What nodes are ordered by: the scores, then name and id."""


@dataclass(frozen=True, slots=True)
class Placement:
    node: NodeId


@dataclass(frozen=True, slots=True)
class Unplaceable:
    reasons: Mapping[NodeId, str]
    names: Mapping[NodeId, str]
    """The nodes' names, for the text."""

    def __str__(self) -> str:
        if not self.reasons:
            return "there is no node"
        return "; ".join(f"{self.names[node]}: {reason}" for node, reason in self.reasons.items())


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    rule: str
    refused: bool
    text: str


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    node: NodeId
    name: str
    accepted: bool
    rules: tuple[RuleVerdict, ...]


def place(
    request: PlacementRequest,
    nodes: Sequence[NodeView],
    filters: Sequence[Filter] = FILTERS,
    scores: Sequence[Score] = SCORES,
) -> Placement | Unplaceable:
    """The best node for one task. Changes nothing; for many tasks use `ClusterCapacity`."""
    best: tuple[Rank, NodeView] | None = None
    for node in nodes:
        if refusal(request, node, filters) is None:
            rank = rank_of(request, node, scores)
            if best is None or rank < best[0]:
                best = (rank, node)
    return Placement(best[1].id) if best else unplaceable(request, nodes, filters)


def explain(
    request: PlacementRequest,
    nodes: Sequence[NodeView],
    filters: Sequence[Filter] = FILTERS,
    scores: Sequence[Score] = SCORES,
) -> list[NodeVerdict]:
    """Every rule's word on every node, the best node first and the refused ones last."""

    def order(node: NodeView) -> tuple[bool, Rank]:
        return refusal(request, node, filters) is not None, rank_of(request, node, scores)

    return [_verdict(request, node, filters, scores) for node in sorted(nodes, key=order)]


def _verdict(
    request: PlacementRequest, node: NodeView, filters: Sequence[Filter], scores: Sequence[Score]
) -> NodeVerdict:
    rules = []
    for rule in filters:
        reason = rule.refusal(request, node)
        rules.append(RuleVerdict(rule.name, reason is not None, reason or "fits"))
    rules.extend(RuleVerdict(score.name, False, score.explain(request, node)) for score in scores)
    return NodeVerdict(node.id, node.name, not any(rule.refused for rule in rules), tuple(rules))


def refusal(request: PlacementRequest, node: NodeView, filters: Sequence[Filter]) -> str | None:
    for rule in filters:
        reason = rule.refusal(request, node)
        if reason is not None:
            return reason
    return None


def rank_of(request: PlacementRequest, node: NodeView, scores: Sequence[Score]) -> Rank:
    return (*[score.value(request, node) for score in scores], node.name, node.id)


def unplaceable(request: PlacementRequest, nodes: Iterable[NodeView], filters: Sequence[Filter]) -> Unplaceable:
    """The reason of each node that refuses the task."""
    reasons: dict[NodeId, str] = {}
    names: dict[NodeId, str] = {}
    for node in sorted(nodes, key=lambda each: (each.name, each.id)):
        reason = refusal(request, node, filters)
        if reason is not None:
            reasons[node.id], names[node.id] = reason, node.name
    return Unplaceable(reasons, names)
