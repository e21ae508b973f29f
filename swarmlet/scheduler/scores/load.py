"""Load: even over the nodes, or as few nodes as will do, as the service chose."""

from collections.abc import Iterable
from typing import ClassVar

from swarmlet.model.placement import Strategy
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.quantities import tasks_text
from swarmlet.scheduler.rules import Ranking


class FewestTasks:
    """Of the nodes that are as good for the service, the one with the fewest tasks of all."""

    name: ClassVar[str] = "fewest-tasks"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        if request.placement.strategy is Strategy.SPREAD:
            yield Ranking(lambda node: node.tasks, lambda node: f"{tasks_text(node.tasks)} in all")


class LeastReserved:
    """Most room: the share of its scarcer resource (CPU or memory) that is reserved already."""

    name: ClassVar[str] = "least-reserved"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        if request.placement.strategy is Strategy.SPREAD:
            yield Ranking(_reserved, lambda node: f"{_reserved(node):.0%} reserved")


class TightestFit:
    """Bin-packing: the node that has the least left (processors and memory in shares of its own)."""

    name: ClassVar[str] = "tightest-fit"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        if request.placement.strategy is Strategy.BINPACK:
            yield Ranking(_free, lambda node: f"{_free(node) / 2:.0%} free")


class MostTasks:
    """Bin-packing of tasks that reserve nothing: where most are already."""

    name: ClassVar[str] = "most-tasks"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        if request.placement.strategy is Strategy.BINPACK:
            yield Ranking(lambda node: -node.tasks, lambda node: f"{tasks_text(node.tasks)} in all")


def _reserved(node: NodeView) -> float:
    capacity = node.capacity
    if capacity is None:
        return 1.0
    cpus = node.reserved_cpus / capacity.cpus if capacity.cpus else 0.0
    memory = node.reserved_memory_bytes / capacity.memory_bytes if capacity.memory_bytes else 0.0
    return cpus if cpus > memory else memory


def _free(node: NodeView) -> float:
    """Both shares added up: 2 for an empty node."""
    capacity = node.capacity
    if capacity is None:
        return 2.0
    cpus = node.reserved_cpus / capacity.cpus if capacity.cpus else 0.0
    memory = node.reserved_memory_bytes / capacity.memory_bytes if capacity.memory_bytes else 0.0
    return 2.0 - cpus - memory
