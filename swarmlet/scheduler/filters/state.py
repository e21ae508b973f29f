"""Filters on what became of a node, and what people said of it: up, alive, open, without taints that repel the task."""

from collections.abc import Iterable
from typing import ClassVar

from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.rules import Refusing


class NodeIsUp:
    """The cluster agreed that the node is a working member."""

    name: ClassVar[str] = "node-is-up"
    fixed: ClassVar[bool] = True

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        yield Refusing(_not_up)


def _not_up(node: NodeView) -> str | None:
    if node.status is NodeStatus.UP:
        return None
    return "is down" if node.status is NodeStatus.DOWN else "has left"


class NodeIsAlive:
    """The failure detector has no doubt about the node right now."""

    name: ClassVar[str] = "node-is-alive"
    fixed: ClassVar[bool] = True

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        yield Refusing(_not_alive)


def _not_alive(node: NodeView) -> str | None:
    match node.liveness:
        case Liveness.ALIVE:
            return None
        case Liveness.SUSPECT:
            return "does not answer (suspected dead)"
        case None:
            return "has not been heard of yet"
        case _:
            return "does not answer"


class NodeIsNotCordoned:
    """People allow new tasks there; a global service's, which are there for the node's own sake, need not be told."""

    name: ClassVar[str] = "node-is-not-cordoned"
    fixed: ClassVar[bool] = True

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        if not request.on_every_node:
            yield Refusing(lambda node: "is cordoned" if node.cordoned else None)


class TaintsAreTolerated:
    """The task puts up with every taint of the node."""

    name: ClassVar[str] = "taints-are-tolerated"
    fixed: ClassVar[bool] = True

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        placement = request.placement

        def refusal(node: NodeView) -> str | None:
            for taint in node.taints:
                if not placement.tolerates(taint):
                    return f"has the taint {taint}, which is not tolerated"
            return None

        yield Refusing(refusal)
