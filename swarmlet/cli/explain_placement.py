"""The part of `swarmlet explain` that says where tasks go: node by node, rule by rule."""

from collections.abc import Iterator

from swarmlet.api.explain_schema import NodeVerdictView, PlacementExplanation, RuleVerdictView


def placement_lines(view: PlacementExplanation) -> Iterator[str]:
    if view.task:
        yield f"{view.service}: task {view.task} on {view.node} {view.state}"
        if view.leaves:
            yield f"leaves    {view.leaves}"
    what = "placed now, it would go to" if view.task else "one more task would go to"
    best = next((node for node in view.nodes if node.accepted), None)
    yield f"placement {what} {best.node if best else 'no node'}"
    for rank, node in enumerate(view.nodes, start=1):
        verdict = f"rank {rank}" if node.accepted else "refused"
        here = ", is there" if view.task and node.node_id == view.node_id else ""
        yield f"{node.node} ({verdict}{here})"
        yield from _rules(node)


def _rules(node: NodeVerdictView) -> Iterator[str]:
    """Of a node that refuses, first what it refuses for."""
    ordered = sorted(node.rules, key=lambda rule: not rule.refused)
    width = max((len(rule.rule) for rule in ordered), default=0)
    for rule in ordered:
        yield f"  {rule.rule:{width}}  {_verdict(rule):8}  {rule.text}"


def _verdict(rule: RuleVerdictView) -> str:
    if rule.value is not None:
        return f"{rule.value:g}"
    return "refuses" if rule.refused else "passes"
