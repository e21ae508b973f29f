"""How pods leave their nodes: all tasks of an instance at once, when the budget of each of their services allows it.

Rules:
- An instance stops as a whole, since a part of it is no use. So whoever serves there (or may) needs its service's
  disruption budget for that; whoever does not serve needs none.
- A member that is missing in an instance which leaves, or does not serve there, can't come back before the instance has
  left. Until then it counts against no budget: else two instances could wait for each other's missing member.
- Instances that take the least go first. Past the deadline of a drain all tasks stop without this (see `relocation`).

Decision record 0059.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from swarmlet.controllers.budget import Budget
from swarmlet.controllers.pod_tasks import PodKey, key_of
from swarmlet.controllers.relocation import leaves_with_its_pod
from swarmlet.controllers.seats import NO_NODE
from swarmlet.controllers.service_plan import ServicePlan
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.ids import ServiceId

Instances = Mapping[PodKey, Sequence[TaskView]]
"""Those that leave, with their tasks."""


def let_pods_leave(view: ClusterView, plans: Mapping[ServiceId, ServicePlan]) -> None:
    """After the services' own plans: what they stop by themselves counts."""
    instances = _instances(view, plans)
    concerned = {key: _services_of(view, key, tasks) for key, tasks in instances.items()}
    budgets = {id_: _budget(plans[id_], instances) for ids in concerned.values() for id_ in ids}
    waiting: dict[ServiceId, list[ServiceId]] = defaultdict(list)
    for key in sorted(instances, key=lambda key: (sum(map(_may_serve, instances[key])), key)):
        tasks = instances[key]
        used_up = next((each.task.service for each in tasks if not budgets[each.task.service].allows(each)), None)
        if used_up is not None:
            for each in tasks:
                waiting[each.task.service].append(used_up)
            continue
        for id_ in concerned[key]:
            budgets[id_].unavailable += 1
        for each in tasks:
            _stop(plans[each.task.service], each)
    for id_, obstacles in waiting.items():
        what = "task waits to leave with its pod" if len(obstacles) == 1 else "tasks wait to leave with their pods"
        plans[id_].messages.append(f"{len(obstacles)} {what}: {obstacles[0]}'s {budgets[obstacles[0]]}")


def _stop(plan: ServicePlan, task: TaskView) -> None:
    plan.stop(task, task.leaves, plan.compare, task.node_compare)
    plan.surplus.add(task.id)
    plan.seats_with_fates_done()


def _instances(view: ClusterView, plans: Mapping[ServiceId, ServicePlan]) -> Instances:
    found: dict[PodKey, list[TaskView]] = defaultdict(list)
    for plan in plans.values() if view.pods.leaving else ():
        for seat in plan.seats.values():
            key = key_of(seat.best.task)
            if key is not None and leaves_with_its_pod(view, plan.service, seat):
                found[key].append(seat.best)
    return found


def _services_of(view: ClusterView, key: PodKey, tasks: Iterable[TaskView]) -> set[ServiceId]:
    """The members, and services that were some when these tasks were made."""
    return {each.id for each in view.pods.members.get((key.stack, key.pod), ())} | {each.task.service for each in tasks}


def _budget(plan: ServicePlan, instances: Instances) -> Budget:
    budget = Budget.of(plan.service.spec.max_unavailable, plan.seats.values(), plan.wanted)
    slots = [key.slot for key in instances if _is_member(plan, key) and key.slot <= plan.wanted]
    seats = [plan.seats.get((slot, NO_NODE)) for slot in slots]
    lost_till_then = sum(seat is None or not _may_serve(seat.best) for seat in seats)
    budget.unavailable = max(0, budget.unavailable - lost_till_then)
    return budget


def _is_member(plan: ServicePlan, key: PodKey) -> bool:
    return plan.service.stack == key.stack and plan.service.spec.template.pod == key.pod


def _may_serve(task: TaskView) -> bool:
    return task.standing is not Standing.UNREADY
