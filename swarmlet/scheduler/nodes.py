"""What the rules look at: one node with what is assigned to it, and one task that wants a place.

A `NodeView` is a running account: `assign` and `release` are its only changes, and each bumps `changes`, so
that whoever ranked the node earlier can see that the rank is out of date.
"""

from dataclasses import dataclass, field

from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.model.placement import Taint
from swarmlet.model.spec import Resources

NOTHING_RESERVED = Resources()


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    service: ServiceId
    reservations: Resources = NOTHING_RESERVED
    on_every_node: bool = False
    """It is a global service's and for its node's own sake: a cordon does not keep it away."""


@dataclass(slots=True)
class NodeView:
    id: NodeId
    name: str
    status: NodeStatus
    liveness: Liveness | None
    """None: the failure detector here has not heard of it yet."""
    capacity: Resources | None
    """None: its facts have not arrived yet."""
    cordoned: bool = False
    taints: tuple[Taint, ...] = ()
    reserved_cpus: float = 0.0
    reserved_memory_bytes: int = 0
    tasks: int = 0
    tasks_of: dict[ServiceId, int] = field(default_factory=dict)
    """Per service, the tasks that are to stay; a task that is about to be replaced or stopped does not count."""
    changes: int = 0

    @property
    def free_cpus(self) -> float:
        return self.capacity.cpus - self.reserved_cpus if self.capacity else 0.0

    @property
    def free_memory_bytes(self) -> int:
        return self.capacity.memory_bytes - self.reserved_memory_bytes if self.capacity else 0

    def assign(self, request: PlacementRequest, *, leaving: bool = False) -> None:
        """Count one more task. One that is `leaving` takes its room until it is gone, but is no part of the spread."""
        self._book(request, 1, leaving)

    def release(self, request: PlacementRequest, *, leaving: bool = False) -> None:
        """The exact inverse of `assign`."""
        assert self.tasks > 0, f"released more tasks than were assigned to {self.name}"
        self._book(request, -1, leaving)

    def _book(self, request: PlacementRequest, count: int, leaving: bool) -> None:
        self.reserved_cpus += count * request.reservations.cpus
        self.reserved_memory_bytes += count * request.reservations.memory_bytes
        self.tasks += count
        if not leaving:
            self.tasks_of[request.service] = self.tasks_of.get(request.service, 0) + count
        self.changes += 1
