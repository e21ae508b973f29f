"""Placing: the openings of all services are filled through the scheduler, one ledger for all of them.

Rules: empty seats of all services (and jobs) come before anyone's rollout, those of the more important ones first; what
finds no room may be promised some (see `preempting`). Every creation is guarded by the service it was read from, the
node it goes to, and the absence of its key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from swarmlet.controllers import relocation
from swarmlet.controllers.membership import NodeRecord
from swarmlet.controllers.node_views import request_of
from swarmlet.controllers.openings import Opening
from swarmlet.controllers.pod_places import PodPlaces
from swarmlet.controllers.preempting import Promises
from swarmlet.controllers.seats import SeatKey
from swarmlet.controllers.service_plan import ServicePlan
from swarmlet.controllers.steps import Step
from swarmlet.controllers.task_ids import derived_task_id
from swarmlet.controllers.view import ClusterView
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import Task
from swarmlet.model.transaction import Compare, put
from swarmlet.scheduler import Placed, Unplaceable
from swarmlet.scheduler.devices import Chosen


@dataclass(frozen=True, slots=True)
class Creation:
    """A task that is to be, and the seat it takes."""

    key: SeatKey
    task: Task
    step: Step
    node: NodeRecord


def fill(view: ClusterView, plan: ServicePlan, promises: Promises, pods: PodPlaces, *, beside: bool) -> list[Creation]:
    """Create the tasks of the plan's openings of one kind, as far as there is room; say what did not fit."""
    openings = [opening for opening in plan.openings if opening.beside is beside]
    openings = [opening for opening in openings if not pods.is_leaving(plan.service, opening.key[0])]
    created: list[Creation] = []
    for declared in dict.fromkeys(opening.service.revision for opening in openings):
        alike = [opening for opening in openings if opening.service.revision == declared]
        created += _fill_alike(view, plan, alike, promises, pods)
    return created


def _fill_alike(
    view: ClusterView, plan: ServicePlan, openings: list[Opening], promises: Promises, pods: PodPlaces
) -> list[Creation]:
    """Openings of one revision, which ask for the same."""
    service, beside, ledger = openings[0].service, openings[0].beside, promises.ledger
    request = request_of(service.id, service.spec.template, service.spec)
    created: list[Creation] = []
    refused: dict[NodeId, str] = {}
    promised = 0
    no_room: Unplaceable | None = None
    """As an equal task was told, since when no more than promises were made."""
    for number, opening in enumerate(openings):
        if promises.used_up:
            openings = openings[:number]
            break
        if opening.node:
            answer = ledger.place_on(opening.node, request)
        elif pods.has(service):
            answer = pods.place(service, opening.key[0], request)
        else:
            answer = no_room or ledger.place(request)
        match answer:
            case Placed(node):
                beside_pod = pods.witness(service, opening.key[0])
                devices = promises.hold_devices(node, request)
                created.append(_creation(view, plan, opening, view.nodes[node], beside_pod, devices))
                promises.created(node, replace(request, devices=devices) if devices else request)
            case Unplaceable(reasons):
                if opening.leaving is not None and opening.leaving.task.relocate_to:
                    plan.unmarked.append(opening.leaving)
                    continue
                if not beside and not pods.has(service) and promises.promise(plan, request, opening.node):
                    promised += 1
                    no_room = no_room if opening.node else answer
                    continue
                refused |= reasons
                if opening.node is None and not pods.has(service):
                    break  # where one of them does not fit, its equals do not fit either
    if promised:
        plan.messages.append(f"{promised} of {plan.wanted} tasks wait until those that make room for them are gone")
    unplaced = len(openings) - len(created) - promised - len(plan.unmarked) * beside
    if unplaced:
        plan.waits_because = "there is no room for new tasks"
        _report(view, plan, refused, unplaced, beside)
    return created


def _creation(
    view: ClusterView,
    plan: ServicePlan,
    opening: Opening,
    node: NodeRecord,
    beside: tuple[Compare, ...],
    devices: Chosen,
) -> Creation:
    service, predecessor = opening.service, plan.newest.get(opening.key)
    seat = f"node {node.node.id} up since {node.node.status_since}" if opening.key[1] else f"slot {opening.key[0]}"
    task = Task(
        id=derived_task_id(service.id, plan.revision, seat, predecessor.id if predecessor else None, view.state.tasks),
        service=service.id,
        slot=opening.key[0],
        node=node.node.id,
        revision=service.revision,
        template=service.spec.template,
        created_at=view.now,
        generation=predecessor.task.generation + 1 if predecessor else 0,
        devices=devices,
    )
    return Creation(
        key=opening.key,
        task=task,
        step=Step((plan.compare, node.compare, Compare(task.key, 0), *beside), (put(task.key, task),)),
        node=node,
    )


def _report(view: ClusterView, plan: ServicePlan, refused: Mapping[NodeId, str], unplaced: int, beside: bool) -> None:
    if beside:
        leaving = any(relocation.leaving(seat) for seat in plan.seats.values())
        what = "the relocation" if leaving else f"the rollout of revision {plan.service.revision}"
        plan.messages.append(f"{what} waits: no room for new tasks beside the old ones")
    elif not view.nodes:
        plan.messages.append("there is no node")
    else:
        what = f"{unplaced} of {plan.wanted} tasks"
        plan.messages.append(f"no node can take {what}" if not plan.is_global else f"{what} can't be placed")
    for node, reason in refused.items():
        plan.per_node.setdefault(view.name_of(node), reason)


def describe(service: ServiceId, created: int, stopped: int, deleted: int, unmarked: int = 0) -> str:
    """What a service's transaction does, for people who read the event stream."""
    counts: Iterable[tuple[int, str]] = (
        (created, "created"), (stopped, "told to stop"), (deleted, "forgotten"), (unmarked, "left where they are")
    )  # fmt: skip
    return f"{service}: tasks " + ", ".join(f"{count} {what}" for count, what in counts if count)
