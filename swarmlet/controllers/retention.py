"""Retention: dead tasks are kept a while for their logs and reasons, then deleted.

Rules: a task is dead when it was told to stop and nothing of it runs any more (its node says so, or is lost,
or has not known it for a while). A living service keeps a few per slot for a quarter of an hour; a removed one
keeps none. The youngest task of a wanted seat stays whatever its age: its successor's id is derived from its.
"""

from collections import defaultdict
from collections.abc import Callable, Container

from swarmlet.controllers.fates import SERVICE_REMOVED, Fate
from swarmlet.controllers.seats import SeatKey, seat_key
from swarmlet.controllers.service_plan import ServicePlan
from swarmlet.controllers.view import ClusterView, TaskView
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import SERVICES
from swarmlet.model.transaction import Compare


def expire(view: ClusterView, plan: ServicePlan, succeeded: Container[SeatKey]) -> None:
    """Add to the plan's fates the dead tasks of a living service that are not kept any longer.

    `succeeded` are the seats that get a new task by the same look.
    """
    mode = plan.service.spec.mode
    dead: dict[SeatKey, list[TaskView]] = defaultdict(list)
    for each in view.tasks_of(plan.service.id):
        if view.is_dead(each) or (each.id in plan.fates and each.is_gone):
            dead[seat_key(each.task, mode)].append(each)
    is_wanted = _wanted(view, plan)
    for key, tasks in dead.items():
        tasks.sort(key=lambda each: (_stopped_at(view, each), each.task.created_at, each.id), reverse=True)
        for rank, each in enumerate(tasks):
            if each is plan.newest[key] and is_wanted(key) and key not in succeeded:
                continue
            _expire_one(view, plan, each, rank)


def _expire_one(view: ClusterView, plan: ServicePlan, each: TaskView, rank: int) -> None:
    expires_at = _stopped_at(view, each) + view.settings.dead_kept_s
    if rank < view.settings.dead_kept_max and view.now < expires_at:
        view.wake_after(expires_at)
        return
    if each.id in plan.fates:
        plan.fates[each.id].drop = True
    else:
        plan.fates[each.id] = Fate(each, "kept long enough", (), drop=True)


def _wanted(view: ClusterView, plan: ServicePlan) -> Callable[[SeatKey], bool]:
    if plan.is_global:
        hosts: set[NodeId] = {record.node.id for record in view.hosts_of(plan.service)}
        return lambda key: key[1] in hosts
    return lambda key: 1 <= key[0] <= plan.wanted


def clear_removed(view: ClusterView, service: ServiceId) -> list[Fate]:
    """All tasks of a service that is no more (or a job now): told to stop, and deleted once they are gone."""
    fates = []
    stored = view.state.services.get(service)
    because = Compare(SERVICES + service, stored.revision if stored else 0)
    for each in view.tasks_of(service):
        if each.runs:
            node = (each.node_compare,) if each.on_lost_node else ()
            fates.append(Fate(each, SERVICE_REMOVED, (because, *node), drop=each.is_gone))
        elif view.is_dead(each):
            fates.append(Fate(each, SERVICE_REMOVED, (because,), drop=True))
    return fates


def _stopped_at(view: ClusterView, each: TaskView) -> float:
    return view.now if each.runs else each.task.stopped_at
