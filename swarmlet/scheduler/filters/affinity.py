"""Filters on who else is there: services that a task must have beside it, must not have, or that do not bear it.

What keeps a service away keeps it away from both sides, as in Kubernetes: a task never comes to where one is that does
not bear it. A service is no neighbour of itself here but for being kept away from itself.
"""

from collections.abc import Callable, Iterable
from typing import ClassVar

from swarmlet.model.ids import ServiceId
from swarmlet.model.placement import NODE_ID, ServiceAffinity
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.rules import Refusing


def neighbours(wish: ServiceAffinity, cluster: Cluster) -> Callable[[NodeView], int]:
    """How many tasks of the other service are in a node's place."""
    service = ServiceId(wish.service)
    if wish.per == NODE_ID:
        return lambda node: node.tasks_of.get(service, 0)
    return cluster.tasks(wish.per, service).count


def place_text(per: str, node: NodeView) -> str:
    return "there" if per == NODE_ID else f"where {per} is {node.attribute(per) or 'not set'}"


class BesideOthers:
    """`affinity` to a service, required."""

    name: ClassVar[str] = "beside-others"
    fixed: ClassVar[bool] = False

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        for wish in request.placement.affinities:
            if wish.required and not wish.away:
                yield Refusing(_lacks(wish, neighbours(wish, cluster)), wish.per)


def _lacks(wish: ServiceAffinity, count: Callable[[NodeView], int]) -> Callable[[NodeView], str | None]:
    return lambda node: None if count(node) > 0 else f"no task of {wish.service} is {place_text(wish.per, node)}"


class AwayFromOthers:
    """`anti_affinity` to a service, required."""

    name: ClassVar[str] = "away-from-others"
    fixed: ClassVar[bool] = False

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        for wish in request.placement.affinities:
            if wish.required and wish.away:
                yield Refusing(_has(wish, neighbours(wish, cluster)), wish.per)


def _has(wish: ServiceAffinity, count: Callable[[NodeView], int]) -> Callable[[NodeView], str | None]:
    return lambda node: f"a task of {wish.service} is {place_text(wish.per, node)}" if count(node) > 0 else None


class NotRepelled:
    """No task that is there already asked to be away from this service."""

    name: ClassVar[str] = "not-repelled"
    fixed: ClassVar[bool] = False

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        for per, places in cluster.repelled(request.service).items():
            yield Refusing(_repelled(per, places.count), per)


def _repelled(per: str, count: Callable[[NodeView], int]) -> Callable[[NodeView], str | None]:
    return lambda node: f"a task that keeps away from it is {place_text(per, node)}" if count(node) > 0 else None
