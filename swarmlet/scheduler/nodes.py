"""What the rules look at: one node with what is assigned to it, and one task that wants a place.

A `NodeView` is a running account: `assign` and `release` are its only changes; everything else about it stays as it is
for as long as the view is used. A task that is `leaving` (told to stop, or about to be replaced) takes its room until
it is gone, but is no part of the spread and keeps nobody away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.model.placement import ARCHITECTURE, HOSTNAME, LABEL_PREFIX, NODE_ID, OS, ROLE, Placement, Taint
from swarmlet.model.spec import ALL_DEVICES, Resources

NOTHING_RESERVED = Resources()
ANYWHERE = Placement()


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    service: ServiceId
    reservations: Resources = NOTHING_RESERVED
    placement: Placement = ANYWHERE
    priority: int = 0
    image: str = ""
    volumes: tuple[str, ...] = ()
    host_ports: tuple[int, ...] = ()
    """Bound on the node itself, which has each of them once."""
    devices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a task that is there: the ids of those of its node's devices that are its own, by kind."""
    on_every_node: bool = False
    """It is a global service's and for its node's own sake: a cordon does not keep it away."""

    @property
    def repels(self) -> list[tuple[str, ServiceId]]:
        """What it does not bear beside it: the attribute that makes a place, and the service."""
        return [
            (wish.per, ServiceId(wish.service)) for wish in self.placement.affinities if wish.away and wish.required
        ]


@dataclass(slots=True)
class NodeView:
    id: NodeId
    name: str
    status: NodeStatus
    liveness: Liveness | None
    """None: the failure detector here has not heard of it yet."""
    capacity: Resources | None
    """None: its facts have not arrived yet."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Those in effect: its own, with those that people set over them, and `zone` from its configuration."""
    role: str = ""
    os: str = ""
    architecture: str = ""
    taints: tuple[Taint, ...] = ()
    cordoned: bool = False
    downs: int = 0
    """How often it went down of late."""
    images: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    reserved_cpus: float = 0.0
    reserved_memory_bytes: int = 0
    reserved_devices: dict[str, int] = field(default_factory=dict)
    device_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of the kinds that it names."""
    held_devices: dict[tuple[str, str], int] = field(default_factory=dict)
    """By kind and id, how many tasks it is for; more than one after a mishap."""
    unnamed_devices: set[str] = field(default_factory=set)
    """Kinds of which tasks reserve some, and nobody here can say which."""
    host_ports: dict[int, int] = field(default_factory=dict)
    """How many tasks want each; more than one after a mishap."""
    tasks: int = 0
    tasks_of: dict[ServiceId, int] = field(default_factory=dict)
    """Per service, the tasks that are to stay."""
    repelled: dict[tuple[str, ServiceId], int] = field(default_factory=dict)
    """How many of its tasks keep a service away, by the attribute that makes a place."""
    bookings: int = 0
    """How often something was assigned or released: whether it is as it was when somebody looked."""

    @property
    def free_cpus(self) -> float:
        return self.capacity.cpus - self.reserved_cpus if self.capacity else 0.0

    @property
    def free_memory_bytes(self) -> int:
        return self.capacity.memory_bytes - self.reserved_memory_bytes if self.capacity else 0

    def devices(self, kind: str) -> int:
        """How many it has, whoever has reserved them."""
        return self.capacity.devices.get(kind, 0) if self.capacity else 0

    def free_devices(self, kind: str) -> int:
        return self.devices(kind) - self.reserved_devices.get(kind, 0)

    def attribute(self, name: str) -> str:
        """Empty where the node has nothing to say there."""
        if name.startswith(LABEL_PREFIX):
            return self.labels.get(name[len(LABEL_PREFIX) :], "")
        own = {NODE_ID: self.id, HOSTNAME: self.name, ROLE: self.role, OS: self.os, ARCHITECTURE: self.architecture}
        return own.get(name, "")

    def assign(self, request: PlacementRequest, *, leaving: bool = False) -> None:
        """Count one more task."""
        self.book(request, 1, leaving)

    def release(self, request: PlacementRequest, *, leaving: bool = False) -> None:
        """The exact inverse of `assign`."""
        assert self.tasks > 0, f"released more tasks than were assigned to {self.name}"
        self.book(request, -1, leaving)

    def book(self, request: PlacementRequest, count: int, leaving: bool) -> None:
        reserved = request.reservations
        self.bookings += 1
        self.reserved_cpus += count * reserved.cpus
        self.reserved_memory_bytes += count * reserved.memory_bytes
        self.tasks += count
        if reserved.devices:
            self._book_devices(request, count)
        for port in request.host_ports:
            self.host_ports[port] = self.host_ports.get(port, 0) + count
        if not leaving:
            self.tasks_of[request.service] = self.tasks_of.get(request.service, 0) + count
            if request.placement.affinities:
                for place in request.repels:
                    self.repelled[place] = self.repelled.get(place, 0) + count

    def find_device(self, kind: str, wanted: str) -> str:
        """The id that is meant by what a task asks for: the same, or a CDI name that ends so. Empty: there is none."""
        ids = self.device_ids.get(kind, ())
        return wanted if wanted in ids else next((each for each in ids if each.endswith(f"={wanted}")), "")

    def is_held(self, kind: str, device: str) -> bool:
        return self.held_devices.get((kind, device), 0) > 0

    def hold(self, kind: str, device: str, count: int = 1) -> None:
        """It is somebody's own, who is counted already."""
        self.held_devices[kind, device] = self.held_devices.get((kind, device), 0) + count

    def _book_devices(self, request: PlacementRequest, count: int) -> None:
        for kind, wanted in request.reservations.devices.items():
            number = self.devices(kind) if wanted == ALL_DEVICES else wanted
            self.reserved_devices[kind] = self.reserved_devices.get(kind, 0) + count * number
            asked = request.reservations.device_ids.get(kind, ())
            for device in request.devices.get(kind) or [self.find_device(kind, each) for each in asked]:
                self.hold(kind, device, count)
