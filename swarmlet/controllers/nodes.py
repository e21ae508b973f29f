"""People's wishes about nodes as transactions: cordon, drain, labels, taints, and forgetting one that never returns.

Rules: a node is named by its name or its id; of several that share a name, the one that is up is meant. Each
transaction writes that node's object only and is guarded by the revision it was read at; with nothing to change it has
no operations. A drain cordons, and uncordoning ends the drain. Whether a node is up is the leader's word (see
`membership`), which keeps everything that is decided here.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from swarmlet.controllers.node_errors import AmbiguousNode, BadLabel, NodeHasTasks, NodeIsUp, TooMany, UnknownNode
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Desired, Drain, Node, NodeStatus
from swarmlet.model.placement import Taint, TaintEffect
from swarmlet.model.state import ClusterState, Versioned
from swarmlet.model.transaction import Compare, Delete, Transaction, put

LABELS_MAX = 64
TAINTS_MAX = 16
"""Each node carries them in every peer's memory, and each placement looks at them."""
LABEL_CHARS_MAX = 253
_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?)?")


@dataclass(frozen=True, slots=True)
class UnwantedTaint:
    key: str
    effect: TaintEffect | None = None
    """None means every effect."""

    def meets(self, taint: Taint) -> bool:
        return taint.key == self.key and self.effect in (None, taint.effect)


def change(
    state: ClusterState,
    name: str,
    *,
    cordoned: bool | None = None,
    labels: Mapping[str, str | None] | None = None,
    taints: Collection[Taint] = (),
    untaint: Collection[UnwantedTaint] = (),
) -> Transaction:
    """A label of value None is removed; a taint replaces the one of the same key and effect.

    Raises a subclass of `NodeRefused`.
    """
    stored = find(state, name)
    before = stored.value
    after = before
    if cordoned is not None:
        after = after.model_copy(update={"cordoned": cordoned, "drain": after.drain if cordoned else None})
    if labels:
        after = after.model_copy(update={"labels": _labels(before, labels)})
    if taints or untaint:
        after = after.model_copy(update={"taints": _taints(before, taints, untaint)})
    return _write(stored, after, f"node {before.name}: {_what(before, after)}")


def drain(state: ClusterState, name: str, now: float, deadline_s: float | None) -> Transaction:
    """Let everything leave the node. Of a node that drains already, only the deadline changes."""
    stored = find(state, name)
    before = stored.value
    since = before.drain.since if before.drain else now
    wanted = Drain(since=since, deadline=None if deadline_s is None else now + deadline_s)
    after = before.model_copy(update={"cordoned": True, "drain": wanted})
    within = "" if deadline_s is None else f" within {deadline_s:g} s"
    return _write(stored, after, f"node {before.name}: drain{within}")


def forget(state: ClusterState, name: str) -> Transaction:
    """Delete the object of a node that is gone and has no tasks. If it does return, it is a new member."""
    stored = find(state, name)
    node = stored.value
    if node.status is NodeStatus.UP:
        raise NodeIsUp(node.name)
    if tasks := sum(task.desired is Desired.RUN for task in state.tasks_on(node.id)):
        raise NodeHasTasks(node.name, tasks)
    return Transaction(
        (Compare(node.key, stored.revision),), (Delete(node.key),), reason=f"node {node.name}: forgotten"
    )


def find(state: ClusterState, name: str) -> Versioned[Node]:
    if (by_id := state.nodes.get(NodeId(name))) is not None:
        return by_id
    called = [node for _, node in sorted(state.nodes.items()) if node.value.name == name]
    if not called:
        raise UnknownNode(name, sorted({node.value.name for node in state.nodes.values()}))
    up = [node for node in called if node.value.status is NodeStatus.UP]
    meant = called if len(called) == 1 else up
    if len(meant) != 1:
        raise AmbiguousNode(name, [node.value.id for node in called])
    return meant[0]


def _write(stored: Versioned[Node], after: Node, reason: str) -> Transaction:
    compares = (Compare(after.key, stored.revision),)
    if after == stored.value:
        return Transaction(compares, (), reason=f"{reason} (already so)")
    return Transaction(compares, (put(after.key, after),), reason=reason)


def _labels(before: Node, wanted: Mapping[str, str | None]) -> dict[str, str]:
    for key, value in wanted.items():
        _check(key, value or "")
    kept = {key: value for key, value in before.labels.items() if key not in wanted}
    labels = kept | {key: value for key, value in wanted.items() if value is not None}
    if len(labels) > LABELS_MAX:
        raise TooMany(before.name, "labels", len(labels), LABELS_MAX)
    return dict(sorted(labels.items()))


def _taints(before: Node, wanted: Iterable[Taint], unwanted: Collection[UnwantedTaint]) -> tuple[Taint, ...]:
    kept = [taint for taint in before.taints if not any(each.meets(taint) for each in unwanted)]
    taints = {(taint.key, taint.effect): taint for taint in kept}
    for taint in wanted:
        _check(taint.key, taint.value)
        taints[taint.key, taint.effect] = taint
    if len(taints) > TAINTS_MAX:
        raise TooMany(before.name, "taints", len(taints), TAINTS_MAX)
    return tuple(taint for _, taint in sorted(taints.items()))


def _check(key: str, value: str) -> None:
    for text, pattern, what in ((key, _KEY, "the key"), (value, _VALUE, f"the value '{value}'")):
        if len(text) > LABEL_CHARS_MAX or not pattern.fullmatch(text):
            allowed = f"write at most {LABEL_CHARS_MAX} letters, digits and . _ - / (not at the ends)"
            raise BadLabel(key, f"{what} can't be used, {allowed}")


def _what(before: Node, after: Node) -> str:
    """For people who read the event stream."""
    said = []
    if before.cordoned != after.cordoned or before.drain != after.drain:
        said.append("cordoned" if after.cordoned else "uncordoned")
    if before.labels != after.labels:
        said.append("labels changed")
    if before.taints != after.taints:
        said.append("taints changed")
    return ", ".join(said) or "no change"
