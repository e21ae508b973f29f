"""Spread: the loss of one node, or of one failure domain, should cost a service as little as possible."""

from collections.abc import Iterable
from typing import ClassVar

from swarmlet.model.placement import NODE_ID, ZONE, Strategy
from swarmlet.scheduler.cluster import Cluster, Places
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.quantities import tasks_text
from swarmlet.scheduler.rules import Ranking


class EvenOverDomains:
    """`placement.preferences`: the fewest tasks of the service in the node's domain, label by label."""

    name: ClassVar[str] = "even-over-domains"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        for per in request.placement.spread:
            yield _over(request, per, cluster.tasks(per, request.service))


class FewestTasksOfService:
    """The fewest tasks of the service on the node itself."""

    name: ClassVar[str] = "fewest-tasks-of-service"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        if request.placement.strategy is Strategy.SPREAD:
            service = request.service
            yield Ranking(
                lambda node: node.tasks_of.get(service, 0),
                lambda node: f"{tasks_text(node.tasks_of.get(service, 0))} of {service}",
                NODE_ID,
            )


class EvenOverZones:
    """Nobody has to ask for it: of nodes equal so far, one in the zone with the fewest tasks of the service."""

    name: ClassVar[str] = "even-over-zones"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        if request.placement.strategy is not Strategy.SPREAD or ZONE in request.placement.spread:
            return
        if len(set(cluster.values(ZONE).values())) > 1:
            yield _over(request, ZONE, cluster.tasks(ZONE, request.service))


def _over(request: PlacementRequest, per: str, places: Places) -> Ranking:
    def explain(node: NodeView) -> str:
        where = f"{per} is {node.attribute(per) or 'not set'}"
        return f"{tasks_text(places.count(node))} of {request.service} where {where}"

    return Ranking(places.count, explain, per)
