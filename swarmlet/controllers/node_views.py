"""From objects and records to what the scheduler looks at: nodes as accounts, and tasks as requests for a place."""

from collections.abc import Container

from swarmlet.model.container import NetworkMode
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import Node
from swarmlet.model.observed import ObservedNode
from swarmlet.model.placement import Placement, architecture
from swarmlet.model.spec import Mode, MountKind, Resources, ServiceSpec, TaskTemplate
from swarmlet.model.stock import image_key, volume_key
from swarmlet.scheduler import NodeView, PlacementRequest

ZONE_LABEL = "zone"
MANAGER, WORKER = "manager", "worker"
"""Docker Swarm's words for who votes and who does not."""
DOWNS_COUNT_S = 600.0
"""A node that went down within so long did so of late."""
LINUX = "linux"
"""What every agent runs on."""


def node_view(node: Node, seen: ObservedNode | None, voters: Container[NodeId], now: float) -> NodeView:
    """The node without any task."""
    facts = seen.facts if seen else None
    capacity = Resources(cpus=facts.cpus, memory_bytes=facts.memory_bytes, devices=facts.devices) if facts else None
    labels = {**({ZONE_LABEL: facts.zone} if facts.zone else {}), **facts.labels} if facts else {}
    return NodeView(
        id=node.id,
        name=node.name,
        status=node.status,
        liveness=seen.liveness if seen else None,
        capacity=capacity,
        device_ids=facts.device_ids if facts else {},
        labels={**labels, **node.labels},
        role=MANAGER if node.id in voters else WORKER,
        os=LINUX if facts else "",
        architecture=architecture(facts.architecture) if facts else "",
        taints=node.taints,
        cordoned=node.cordoned,
        images=frozenset(facts.images if facts else ()),
        volumes=frozenset(facts.volumes if facts else ()),
        downs=sum(now - at < DOWNS_COUNT_S for at in node.downs),
    )


def request_of(service: ServiceId, template: TaskTemplate, spec: ServiceSpec | None = None) -> PlacementRequest:
    """`spec` is None for a task whose service is no more."""
    return PlacementRequest(
        service=service,
        reservations=template.reservations,
        placement=spec.placement if spec else Placement(),
        priority=spec.priority if spec else 0,
        image=image_key(template.image),
        volumes=tuple(
            volume_key(mount.source) for mount in template.mounts if mount.kind is MountKind.VOLUME and mount.source
        ),
        host_ports=_host_ports(template),
        on_every_node=spec is not None and spec.mode is Mode.GLOBAL,
    )


def _host_ports(template: TaskTemplate) -> tuple[int, ...]:
    """What a task binds on its node: its ports, where it has no network of its own."""
    if template.options.network is not NetworkMode.HOST:
        return ()
    return tuple(sorted({port.target for port in template.ports}))
