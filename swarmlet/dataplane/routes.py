"""Which published port leads to which tasks: derived from desired and observed state, never stored.

Rules:
- A task gets new connections while it is desired to run and its own node, alive, publishes an endpoint for it.
- While a rollout names the revision that has the traffic (blue-green), tasks of no other revision get any.
- A port's target is read from each task's own template: while a rollout changes a target port, old and new tasks are
  both reached on theirs.
- A service's ports are those of its spec and of its running tasks: a port of the old revision answers until its last
  task stops.
- Two services can't share a port of the same address. The one whose object is older in the store keeps it; the other
  one's claim is reported.

Pure: no clock, no I/O; the same states give the same table on every node (but for `local_address`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Address, Liveness, ObservedState
from swarmlet.model.revisions import NOBODY
from swarmlet.model.state import ClusterState


class PublishedAddress(NamedTuple):
    """Where a route is listened for. An empty host means the node's proxy address."""

    host_address: str
    port: int

    def __str__(self) -> str:
        return f"{self.host_address}:{self.port}" if self.host_address else str(self.port)


@dataclass(frozen=True, slots=True)
class RoutedEndpoint:
    node: NodeId
    task: TaskId
    target_port: int
    local_address: Address | None
    """Where it answers, if it runs on this node; others are reached through their node's agent."""


@dataclass(frozen=True, slots=True)
class Route:
    service: ServiceId
    endpoints: tuple[RoutedEndpoint, ...]
    """Sorted by task; may be empty."""


@dataclass(frozen=True, slots=True)
class PortConflict:
    published: PublishedAddress
    keeper: ServiceId
    refused: ServiceId

    def __str__(self) -> str:
        return f"port {self.published} of {self.refused} is taken by {self.keeper}"


@dataclass(frozen=True, slots=True)
class RouteTable:
    routes: Mapping[PublishedAddress, Route] = field(default_factory=dict)
    conflicts: tuple[PortConflict, ...] = ()

    @classmethod
    def of(cls, state: ClusterState, observed: ObservedState, local: NodeId) -> "RouteTable":
        tasks: dict[ServiceId, list[Task]] = {}
        for versioned in state.tasks.values():
            if versioned.value.desired is Desired.RUN and _has_traffic(state, versioned.value):
                tasks.setdefault(versioned.value.service, []).append(versioned.value)
        routes: dict[PublishedAddress, Route] = {}
        conflicts: list[PortConflict] = []
        for service in sorted(state.services, key=lambda each: (state.services[each].revision, each)):
            running = sorted(tasks.get(service, ()), key=lambda task: task.id)
            for published in _published(state, service, running):
                if published in routes:
                    conflicts.append(PortConflict(published, keeper=routes[published].service, refused=service))
                else:
                    routes[published] = Route(service, tuple(_endpoints(running, published, observed, local)))
        return cls(routes, tuple(conflicts))


def _has_traffic(state: ClusterState, task: Task) -> bool:
    rollout = state.rollouts.get(task.service)
    return rollout is None or rollout.value.serving in (NOBODY, task.revision)


def _published(state: ClusterState, service: ServiceId, running: list[Task]) -> list[PublishedAddress]:
    templates = [state.services[service].value.spec.template, *(task.template for task in running)]
    found = {PublishedAddress(port.host_address, port.published) for each in templates for port in each.ports}
    return sorted(found)


def _endpoints(
    running: list[Task], published: PublishedAddress, observed: ObservedState, local: NodeId
) -> Iterator[RoutedEndpoint]:
    for task in running:
        if observed.liveness(task.node) is not Liveness.ALIVE:
            continue
        status = observed.status(task.node, task.id)
        if status is None:
            continue
        targets = {
            port.target for port in task.template.ports if (port.host_address, port.published) == tuple(published)
        }
        for endpoint in status.endpoints:
            if endpoint.target_port in targets:
                here = Address(endpoint.host, endpoint.port) if task.node == local else None
                yield RoutedEndpoint(task.node, task.id, endpoint.target_port, here)
                break
