"""Small builders for scheduler tests."""

from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.model.spec import Resources
from swarmlet.scheduler import NodeView, PlacementRequest

MIB = 1024 * 1024


def a_node(
    name: str,
    cpus: float = 4,
    memory_mib: int = 4096,
    status: NodeStatus = NodeStatus.UP,
    liveness: Liveness | None = Liveness.ALIVE,
) -> NodeView:
    capacity = Resources(cpus=cpus, memory_bytes=memory_mib * MIB)
    return NodeView(NodeId(name), name, status, liveness, capacity)


def a_request(service: str = "web.app", cpus: float = 0, memory_mib: int = 0) -> PlacementRequest:
    return PlacementRequest(ServiceId(service), Resources(cpus=cpus, memory_bytes=memory_mib * MIB))
