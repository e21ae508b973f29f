"""Where pods go: all members of an instance on one node, or none of them anywhere.

Rules:
- The first member that is placed decides for all: the node has to have room for the whole pod and to be what every
  member asks for. From then on the room of those that are still to come (they wait for each other by `depends_on`, or
  are being replaced) is kept for them there.
- A member whose pod is there already goes to that node and to no other, also if it is cordoned: the pod stays. While
  the pod leaves its node, nothing is added to it.

Decision record 0059.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from swarmlet.controllers.node_views import request_of
from swarmlet.controllers.pod_tasks import PodKey, key_of, pod_key
from swarmlet.controllers.preempting import Promises
from swarmlet.controllers.seats import NO_NODE
from swarmlet.controllers.service_plan import ServicePlan
from swarmlet.controllers.view import ClusterView, TaskView
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import Service
from swarmlet.model.placement import Placement
from swarmlet.model.spec import Mode, Resources, total_device_ids, total_devices
from swarmlet.model.transaction import Compare
from swarmlet.scheduler import Placed, PlacementRequest, Unplaceable


class PodPlaces:
    """Of one look."""

    def __init__(self, view: ClusterView, plans: Mapping[ServiceId, ServicePlan], promises: Promises) -> None:
        self._view = view
        self._promises = promises
        self._ledger = promises.ledger
        self._places: dict[PodKey, NodeId] = {}
        self._witnesses: dict[PodKey, TaskView] = {}
        """Per pod a task that is there and stays."""
        for key, anchor in view.pods.anchors.items():
            members = view.pods.members.get((key.stack, key.pod), ())
            staying = [each for member in members for each in _staying(plans[member.id], key, anchor.task.node)]
            if staying:
                self._places[key], self._witnesses[key] = anchor.task.node, staying[0]
                for member in members:
                    if (key.slot, NO_NODE) not in plans[member.id].seats and key.slot <= member.spec.replicas:
                        self._keep(key, member)

    def has(self, service: Service) -> bool:
        return bool(service.spec.template.pod) and service.spec.mode is Mode.REPLICATED

    def is_leaving(self, service: Service, slot: int) -> bool:
        return pod_key(service.id, service.spec.template.pod, slot) in self._view.pods.leaving

    def place(self, service: Service, slot: int, request: PlacementRequest) -> Placed | Unplaceable:
        key = pod_key(service.id, service.spec.template.pod, slot)
        assert key is not None
        if key not in self._places:
            members = self._view.pods.members[key.stack, key.pod]
            answer = self._ledger.place(together(request, members))
            if isinstance(answer, Unplaceable):
                return answer
            self._ledger.release(answer.node, together(request, members))
            self._places[key] = answer.node
            for member in members:
                self._keep(key, member)
        node = self._places[key]
        self._promises.keep_no_longer((service.id, slot))
        answer = self._ledger.place_on(node, replace(request, on_every_node=True))
        if isinstance(answer, Unplaceable):
            self._keep(key, service)
        return answer

    def witness(self, service: Service, slot: int) -> tuple[Compare, ...]:
        """What has to hold for a task to be placed beside its pod."""
        key = pod_key(service.id, service.spec.template.pod, slot)
        found = self._witnesses.get(key) if key else None
        return (found.compare,) if found else ()

    def _keep(self, key: PodKey, service: Service) -> None:
        request = request_of(service.id, service.spec.template)
        room = PlacementRequest(service.id, request.reservations, host_ports=request.host_ports)
        self._promises.keep((service.id, key.slot), self._places[key], room)


def _staying(plan: ServicePlan, key: PodKey, node: NodeId) -> list[TaskView]:
    seat = plan.seats.get((key.slot, NO_NODE))
    return [each for each in (seat or ()) if key_of(each.task) == key and each.task.node == node]


def together(own: PlacementRequest, members: Iterable[Service]) -> PlacementRequest:
    """The request of a pod: all that its members ask for at once. Wishes are those of the member that is placed."""
    asked = [request_of(member.id, member.spec.template, member.spec) for member in members]
    return replace(
        own,
        reservations=_sum(each.reservations for each in asked),
        placement=_all_of(own.placement, [each.placement for each in asked]),
        volumes=tuple(sorted({volume for each in asked for volume in each.volumes})),
        host_ports=tuple(sorted({port for each in asked for port in each.host_ports})),
        on_every_node=False,
    )


def _sum(wanted: Iterable[Resources]) -> Resources:
    wanted = list(wanted)
    return Resources(
        cpus=sum(each.cpus for each in wanted),
        memory_bytes=sum(each.memory_bytes for each in wanted),
        devices=total_devices(each.devices for each in wanted),
        device_ids=total_device_ids(each.device_ids for each in wanted),
    )


def _all_of(own: Placement, placements: Iterable[Placement]) -> Placement:
    """What any of them demands; what one of them can't bear is borne by none."""
    placements = list(placements)
    required = (wish for each in placements for wish in each.affinities if wish.required)
    liked = (wish for wish in own.affinities if not wish.required)
    limits = [each.per_node_max for each in placements if each.per_node_max]
    platforms = [each.platform for each in (own, *placements) if each.platform]
    return own.model_copy(
        update={
            "constraints": tuple(dict.fromkeys(one for each in placements for one in each.constraints)),
            "platform": platforms[0] if platforms else "",
            "tolerations": tuple(one for one in own.tolerations if all(one in each.tolerations for each in placements)),
            "affinities": tuple(dict.fromkeys((*required, *liked))),
            "per_node_max": min(limits, default=0),
        }
    )
