"""Scores: each gives a node a number, lower is better; a later score decides only what earlier ones leave equal.

A score looks at the node and the request only, and may never fall when a task is placed on the node:
`ClusterCapacity` relies on both.
"""

from typing import ClassVar, Protocol

from swarmlet.scheduler.nodes import NodeView, PlacementRequest


class Score(Protocol):
    name: ClassVar[str]

    def value(self, request: PlacementRequest, node: NodeView) -> float: ...

    def explain(self, request: PlacementRequest, node: NodeView) -> str:
        """What the number is made of, in words for people."""


class FewestTasksOfService:
    """Spread: the loss of one node should cost a service as little as possible."""

    name: ClassVar[str] = "fewest-tasks-of-service"

    def value(self, request: PlacementRequest, node: NodeView) -> float:
        return node.tasks_of.get(request.service, 0)

    def explain(self, request: PlacementRequest, node: NodeView) -> str:
        return f"{node.tasks_of.get(request.service, 0)} tasks of {request.service}"


class FewestTasks:
    """Even load: of the nodes that are as good for the service, the one with the fewest tasks of all."""

    name: ClassVar[str] = "fewest-tasks"

    def value(self, request: PlacementRequest, node: NodeView) -> float:
        return node.tasks

    def explain(self, request: PlacementRequest, node: NodeView) -> str:
        return f"{node.tasks} tasks in all"


class LeastReserved:
    """Most room: the share of its scarcer resource (CPU or memory) that is reserved already."""

    name: ClassVar[str] = "least-reserved"

    def value(self, request: PlacementRequest, node: NodeView) -> float:
        if node.capacity is None:
            return 1.0
        cpus = node.reserved_cpus / node.capacity.cpus if node.capacity.cpus else 0.0
        memory = node.reserved_memory_bytes / node.capacity.memory_bytes if node.capacity.memory_bytes else 0.0
        return max(cpus, memory)

    def explain(self, request: PlacementRequest, node: NodeView) -> str:
        return f"{self.value(request, node):.0%} reserved"


SCORES: tuple[Score, ...] = (FewestTasksOfService(), FewestTasks(), LeastReserved())
