"""Small builders for scheduler tests."""

from typing import Any

from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.model.placement import Constraint, Placement, ServiceAffinity, Taint
from swarmlet.model.spec import Resources
from swarmlet.scheduler import NodeView, PlacementRequest

MIB = 1024 * 1024


def a_node(
    name: str,
    cpus: float = 4,
    memory_mib: int = 4096,
    status: NodeStatus = NodeStatus.UP,
    liveness: Liveness | None = Liveness.ALIVE,
    labels: dict[str, str] | None = None,
    taints: tuple[Taint, ...] = (),
    devices: dict[str, int] | None = None,
    **more: Any,
) -> NodeView:
    return NodeView(
        id=NodeId(name),
        name=name,
        status=status,
        liveness=liveness,
        capacity=Resources(cpus=cpus, memory_bytes=memory_mib * MIB, devices=devices or {}),
        labels=labels or {},
        taints=taints,
        os="linux",
        architecture="amd64",
        **more,
    )


def a_request(
    service: str = "web.app",
    cpus: float = 0,
    memory_mib: int = 0,
    placement: Placement = Placement(),  # noqa: B008  (frozen)
    devices: dict[str, int] | None = None,
    **more: Any,
) -> PlacementRequest:
    reservations = Resources(cpus=cpus, memory_bytes=memory_mib * MIB, devices=devices or {})
    return PlacementRequest(ServiceId(service), reservations, placement, **more)


def a_constraint(written: str) -> Constraint:
    equal = "==" in written
    attribute, _, value = written.partition("==" if equal else "!=")
    return Constraint(attribute=attribute, value=value, equal=equal)


def away_from(service: str, per: str = "node.id", required: bool = True) -> ServiceAffinity:
    return ServiceAffinity(service=service, away=True, per=per, required=required)


def beside(service: str, per: str = "node.id", required: bool = True) -> ServiceAffinity:
    return ServiceAffinity(service=service, per=per, required=required)
