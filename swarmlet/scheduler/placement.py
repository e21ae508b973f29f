"""One question, one answer: `place` finds the best node for one task or says, per node, why there is none.

`explain` gives the verdict of every rule on every node, for people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarmlet.model.ids import NodeId
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.filters import FILTERS
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.rules import Prepared, Rank, Rules
from swarmlet.scheduler.scores import SCORES

RULES = Rules(FILTERS, SCORES)


@dataclass(frozen=True, slots=True)
class Placed:
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
    value: float | None = None
    """Of a score, lower is better; None for a filter."""


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    node: NodeId
    name: str
    accepted: bool
    rules: tuple[RuleVerdict, ...]


def place(request: PlacementRequest, nodes: Sequence[NodeView], rules: Rules = RULES) -> Placed | Unplaceable:
    """The best node for one task. Changes nothing; for many tasks use `ClusterCapacity`."""
    cluster = Cluster(nodes)
    prepared = Prepared.of(request, cluster, rules)
    fitting = [node for node in nodes if prepared.refusal(node) is None]
    if not fitting:
        return unplaceable(request, cluster, rules)
    return Placed(min(fitting, key=prepared.rank).id)


def explain(request: PlacementRequest, cluster: Cluster, rules: Rules = RULES) -> list[NodeVerdict]:
    """Every rule's word on every node, the best node first and the refused ones last.

    Rules that have nothing to do with such a task are not mentioned.
    """
    prepared = Prepared.of(request, cluster, rules)

    def order(node: NodeView) -> tuple[bool, Rank]:
        return prepared.refusal(node) is not None, prepared.rank(node)

    return [_verdict(prepared, node) for node in sorted(cluster.nodes.values(), key=order)]


def _verdict(prepared: Prepared, node: NodeView) -> NodeVerdict:
    rules = []
    for rule, refusing in prepared.filters:
        reason = refusing.refusal(node)
        rules.append(RuleVerdict(rule.name, reason is not None, reason or "fits"))
    for score, ranking in prepared.scores:
        rules.append(RuleVerdict(score.name, False, ranking.explain(node), ranking.value(node)))
    return NodeVerdict(node.id, node.name, not any(rule.refused for rule in rules), tuple(rules))


def unplaceable(request: PlacementRequest, cluster: Cluster, rules: Rules) -> Unplaceable:
    """The reason of each node that refuses the task."""
    prepared = Prepared.filters_of(request, cluster, rules)
    reasons: dict[NodeId, str] = {}
    names: dict[NodeId, str] = {}
    for node in sorted(cluster.nodes.values(), key=lambda each: (each.name, each.id)):
        reason = prepared.refusal(node)
        if reason is not None:
            reasons[node.id], names[node.id] = reason, node.name
    return Unplaceable(reasons, names)
