"""Room for what is important: tasks of lower priority are told to stop, and what they leave is kept for it.

Rules:
- Services are filled in the order of their priority, so nobody takes what a more important one could have.
- A task that is told to stop takes its room until it is gone. Until then its room is promised: whoever waits for it is
  counted as if it were there already (so nobody lesser moves in), and nobody else is displaced for it.
- Whom that costs its place is placed anew by its own service, where there is room. A rollout's extra tasks displace
  nobody. Nothing is remembered: the next look finds the same ones stopping and makes the same promises.
- Members of pods neither displace nor are displaced: a pod is placed as a whole, and a part of it is no use. Neither do
  tasks of jobs, which would lose their work.
- Without services of different priorities nothing of this takes place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmlet.controllers.holdings import Holding, capacity_of, holdings
from swarmlet.controllers.service_plan import ServicePlan
from swarmlet.controllers.view import ClusterView, TaskView
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.scheduler import ClusterCapacity, Placed, PlacementRequest
from swarmlet.scheduler.preemption import Displacement, Resident, displace


@dataclass(slots=True)
class Promises:
    view: ClusterView
    plans: Mapping[ServiceId, ServicePlan]
    ledger: ClusterCapacity
    lowest: int
    """Priority of any service."""
    _future: "_Future | None" = None
    _created: list[tuple[NodeId, PlacementRequest]] = field(default_factory=list)

    @classmethod
    def of(cls, view: ClusterView, plans: Mapping[ServiceId, ServicePlan], ledger: ClusterCapacity) -> "Promises":
        lowest = min((plan.service.spec.priority for plan in plans.values()), default=0)
        return cls(view, plans, ledger, lowest)

    def created(self, node: NodeId, request: PlacementRequest) -> None:
        """A task was placed: it is there in the future, too."""
        self._created.append((node, request))
        if self._future is not None:
            self._future.ledger.assign(node, request)

    def promise(self, plan: ServicePlan, request: PlacementRequest, only: NodeId | None) -> bool:
        """Whether a task that finds no room now will have some: then it is kept for it."""
        if request.priority <= self.lowest:
            return False
        if self._future is None:
            self._future = _Future.of(self.view, self.plans)
            for node, made in self._created:
                self._future.ledger.assign(node, made)
        future = self._future
        answer = future.ledger.place_on(only, request) if only else future.ledger.place(request)
        if isinstance(answer, Placed):
            node = answer.node
        else:
            residents = {only: future.residents.get(only, [])} if only else future.residents
            found = displace(request, future.ledger, residents)
            if found is None:
                return False
            self._displace(plan, found)
            future.ledger.assign(found.node, request)
            node = found.node
        self.ledger.assign(node, request)
        return True

    def _displace(self, plan: ServicePlan, found: Displacement) -> None:
        assert self._future is not None
        service = plan.service
        for victim in found.victims:
            task = self._future.take(found.node, victim)
            reason = f"displaced by {service.id}, whose priority is {service.spec.priority}"
            self.plans[task.task.service].stop(task, reason, plan.compare)
            self.ledger.release(found.node, victim.request)
            self.ledger.assign(found.node, victim.request, leaving=True)


@dataclass(slots=True)
class _Future:
    """As it will be when all that was told to stop is gone."""

    ledger: ClusterCapacity
    residents: dict[NodeId, list[Resident]]
    tasks: dict[TaskId, TaskView]

    @classmethod
    def of(cls, view: ClusterView, plans: Mapping[ServiceId, ServicePlan]) -> "_Future":
        staying = [each for each in holdings(view, plans) if _stays(each, plans)]
        residents: dict[NodeId, list[Resident]] = {}
        for each in staying:
            if each.plan is not None and not each.leaving and not each.task.task.template.pod:
                residents.setdefault(each.task.task.node, []).append(Resident(each.task.id, each.request))
        return cls(capacity_of(view, staying), residents, {each.task.id: each.task for each in staying})

    def take(self, node: NodeId, victim: Resident) -> TaskView:
        self.ledger.release(node, victim.request)
        self.residents[node].remove(victim)
        return self.tasks[victim.task]


def _stays(held: Holding, plans: Mapping[ServiceId, ServicePlan]) -> bool:
    if not held.task.runs:
        return False
    return held.plan is None or held.task.id not in held.plan.fates
