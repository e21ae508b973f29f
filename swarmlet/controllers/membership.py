"""Nodes: what the failure detectors say becomes what the cluster has agreed on.

Rules: a member seen alive is UP (and gets its object when it is new), LEFT is LEFT; it is DOWN when a majority of
the voters holds it for gone (see `deaths`), and that alone makes it so: what the leader's own failure detector says
of it, DEAD or SUSPECT, changes nothing. A node that the leader's own failure detector, which ran before it led, has not
heard of for long enough is DOWN on the voters' word too. When it went down is kept a few times over. An object is
written only when it differs. Decisions about tasks are made with the nodes as they will be, in the same transaction as
the change of the node, so that a lost node costs one commit and not two.
"""

from collections.abc import Collection
from dataclasses import dataclass

from swarmlet.controllers.outcome import ControllerSettings
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Node, NodeStatus
from swarmlet.model.observed import Liveness, ObservedNode, ObservedState
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Compare

DOWNS_KEPT_MAX = 5
"""Of a node's falls, for the scheduler: so few tell whether it flaps."""
STATUS_OF = {Liveness.ALIVE: NodeStatus.UP, Liveness.LEFT: NodeStatus.LEFT}


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node as it will be, and the store revision it was read at."""

    node: Node
    revision: int
    changes: bool
    """Its object is written by this outcome."""
    observed: ObservedNode | None
    gone: bool
    """Its tasks are lost: it is down, or it left and its grace period is over."""

    @property
    def compare(self) -> Compare:
        return Compare(self.node.key, self.revision)

    @property
    def liveness(self) -> Liveness | None:
        return self.observed.liveness if self.observed else None

    @property
    def is_up(self) -> bool:
        return self.node.status is NodeStatus.UP

    @property
    def is_alive(self) -> bool:
        return self.is_up and self.liveness is Liveness.ALIVE


def node_records(
    state: ClusterState,
    observed: ObservedState,
    now: float,
    settings: ControllerSettings,
    listening_since: float | None,
    gone: Collection[NodeId],
) -> dict[NodeId, NodeRecord]:
    records = {}
    for id_ in sorted({*state.nodes, *observed.nodes}):
        stored, seen = state.nodes.get(id_), observed.nodes.get(id_)
        before = stored.value if stored else None
        unseen = (
            before is not None
            and listening_since is not None
            and now >= unseen_until(before, listening_since, settings)
        )
        after = _after(before, seen, now, id_ in gone and (seen is not None or unseen))
        if after is not None:
            left_for_good = after.status is NodeStatus.LEFT and now >= after.status_since + settings.left_grace_s
            records[id_] = NodeRecord(
                node=after,
                revision=stored.revision if stored else 0,
                changes=after != before,
                observed=seen,
                gone=after.status is NodeStatus.DOWN or left_for_good,
            )
    return records


def unseen_until(node: Node, listening_since: float, settings: ControllerSettings) -> float:
    """Until when silence about a node that is up on record says nothing: it may just have come up or be on its way."""
    return max(listening_since, node.status_since) + settings.unseen_after_s


def _after(before: Node | None, seen: ObservedNode | None, now: float, is_gone: bool) -> Node | None:
    if seen is None:
        if before is not None and before.status is NodeStatus.UP and is_gone:
            return before.model_copy(update=_becomes(before, NodeStatus.DOWN, now))
        return before
    status = NodeStatus.DOWN if is_gone else STATUS_OF.get(seen.liveness)
    if before is None:
        # Whoever was never alive here is no member yet; an old acquaintance of the others may be dead for long.
        return Node(id=seen.id, name=seen.name, status=status, status_since=now) if status is NodeStatus.UP else None
    if before.status is NodeStatus.DOWN and status is NodeStatus.LEFT:
        return before  # its tasks are replaced already; a farewell that arrives late changes nothing
    update: dict[str, object] = {}
    if status is not None and status is not before.status:
        update |= _becomes(before, status, now)
    if status is NodeStatus.UP and seen.name != before.name:
        update["name"] = seen.name
    return before.model_copy(update=update) if update else before


def _becomes(before: Node, status: NodeStatus, now: float) -> dict[str, object]:
    update: dict[str, object] = {"status": status, "status_since": now}
    if status is NodeStatus.DOWN:
        update["downs"] = (*before.downs, now)[-DOWNS_KEPT_MAX:]
    return update
