"""Which nodes tasks may stay on, by what people say of nodes and services. New tasks are the scheduler's.

Rules: everything leaves a draining node; what does not tolerate a no-execute taint leaves that node. A cordon, or a
no-schedule taint, moves nothing. A task whose node is not (or no longer) what its service asks for leaves it, unless
its data is there and it would find none elsewhere (see `belonging`). A global service belongs on every node that is up
and what it asks for, unless it would have to leave it at once; that a node is cordoned does not keep it away: it is
there for the node's own sake, as a daemon set of Kubernetes.
"""

from collections.abc import Container, Iterable

from swarmlet.controllers.belonging import Belonging
from swarmlet.controllers.membership import NodeRecord
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Node, Task
from swarmlet.model.placement import Taint, TaintEffect
from swarmlet.model.rollout import Order
from swarmlet.model.spec import MountKind, ServiceSpec


def why_it_leaves(task: Task, record: NodeRecord | None, spec: ServiceSpec | None, belonging: Belonging) -> str:
    """Empty for a task that may stay where it is."""
    if record is not None:
        node = record.node
        if node.drain is not None:
            return f"{node.name} is drained"
        if (taint := repelled_by(node, spec)) is not None:
            return f"{node.name} has the taint {taint.key}"
        if spec is not None and not stops_first(spec) and (misfit := belonging.why_not(spec, node.id)):
            return misfit
    return task.relocate


def stops_first(spec: ServiceSpec) -> bool:
    """Whether no two tasks of one seat may run at once, be it that each would find other data in its node's volume."""
    volumes = any(mount.kind is MountKind.VOLUME and mount.source for mount in spec.template.mounts)
    return volumes or spec.template.exclusive or spec.rollout.update.order is Order.STOP_FIRST


def global_hosts(
    nodes: Iterable[Node], spec: ServiceSpec, has_task: Container[NodeId], belonging: Belonging
) -> list[Node]:
    """Of the nodes that are up, those on which a global service is to have a task. `has_task`: where it has one now."""
    return [node for node in nodes if belongs_on(node, spec, node.id in has_task, belonging)]


def belongs_on(node: Node, spec: ServiceSpec, has_task: bool, belonging: Belonging) -> bool:
    """Of a global service: whether it is to have a task there while the node is up."""
    return _lets_in(node, spec, has_task) and not belonging.why_not(spec, node.id)


def _lets_in(node: Node, spec: ServiceSpec, has_task: bool) -> bool:
    if node.drain is not None or repelled_by(node, spec) is not None:
        return False
    return has_task or not any(_repels(taint, spec) for taint in node.taints)


def repelled_by(node: Node, spec: ServiceSpec | None) -> Taint | None:
    """The first taint for which a task that runs there has to go."""
    found = (taint for taint in node.taints if taint.effect is TaintEffect.NO_EXECUTE and _repels(taint, spec))
    return next(found, None)


def _repels(taint: Taint, spec: ServiceSpec | None) -> bool:
    return spec is None or not spec.placement.tolerates(taint)
