"""Room for what is important: tasks of lower priority are told to stop, and what they leave is kept for it.

Rules:
- Services and jobs are filled in the order of their priority, so nobody takes what a more important one could have.
- A task that is told to stop takes its room until it is gone. Until then its room is promised: whoever waits for it is
  counted as if it were there already (so nobody lesser moves in), and nobody else is displaced for it.
- Whom that costs its place is placed anew by its own service, where there is room. A rollout's extra tasks displace
  nobody. Nothing is remembered: the next look finds the same ones stopping and makes the same promises.
- A look displaces so many at most, since the agent stands still for it; whoever has had no turn yet has one in the next
  look, which what was done in this one brings about. Until then nobody lesser takes what is left, either.
- A displaced task of a job has lost its work: its run starts it again where there is room, and counts no failure.
- Members of pods neither displace nor are displaced: a pod is placed as a whole, and a part of it is no use. The room
  that is kept for those of them which are still to come is nobody else's, however important: else both would wait for
  what the other one is promised.
- Without services of different priorities nothing of this takes place.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from swarmlet.controllers.holdings import Holding, capacity_of, holdings
from swarmlet.controllers.job_runs import RunPlan
from swarmlet.controllers.service_plan import ServicePlan
from swarmlet.controllers.view import ClusterView, TaskView
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.job import RunId
from swarmlet.model.objects import Service
from swarmlet.model.transaction import Compare
from swarmlet.scheduler import ClusterCapacity, Placed, PlacementRequest
from swarmlet.scheduler.devices import Chosen, hold_devices
from swarmlet.scheduler.preemption import Displacement, Preemption, Resident

SlotKey = tuple[ServiceId, int]

SEARCHED_AGAIN_MAX = 32
"""Nodes that one look may search for tasks to displace, beyond as many as there are: one search of all of them, and
some more for further tasks like the first. A node takes a quarter of a millisecond, and meanwhile the agent does
nothing else."""


@dataclass(slots=True)
class Promises:
    view: ClusterView
    plans: Mapping[ServiceId, ServicePlan]
    runs: Mapping[RunId, RunPlan]
    held: list[Holding]
    """By the tasks that were there at the beginning."""
    ledger: ClusterCapacity
    lowest: int
    """Priority of any service or job."""
    _future: "_Future | None" = None
    _searched: int = 0
    """Nodes, for those who made somebody give way."""
    _created: list[tuple[NodeId, PlacementRequest]] = field(default_factory=list)
    _kept: dict[SlotKey, tuple[NodeId, PlacementRequest]] = field(default_factory=dict)

    @classmethod
    def of(cls, view: ClusterView, plans: Mapping[ServiceId, ServicePlan], runs: Mapping[RunId, RunPlan]) -> "Promises":
        services = chain((plan.service for plan in plans.values()), (run.service for run in runs.values()))
        lowest = min((service.spec.priority for service in services), default=0)
        held = list(holdings(view, plans))
        return cls(view, plans, runs, held, capacity_of(view, held), lowest)

    @property
    def used_up(self) -> bool:
        """This look has displaced what it may: nobody else has a turn in it."""
        return self._searched > len(self.view.nodes) + SEARCHED_AGAIN_MAX

    def hold_devices(self, node: NodeId, request: PlacementRequest) -> Chosen:
        """Of a task that was placed just now."""
        found = self.ledger.node(node) if request.reservations.devices else None
        return hold_devices(found, request) if found else {}

    def created(self, node: NodeId, request: PlacementRequest) -> None:
        """A task was placed: it is there in the future, too."""
        self._created.append((node, request))
        if self._future is not None:
            self._future.ledger.assign(node, request)

    def keep(self, slot: SlotKey, node: NodeId, room: PlacementRequest) -> None:
        """Now and in the future, for a task that is to come there."""
        self._kept[slot] = node, room
        for ledger in self._ledgers():
            ledger.assign(node, room, leaving=True)

    def keep_no_longer(self, slot: SlotKey) -> None:
        if slot in self._kept:
            node, room = self._kept.pop(slot)
            for ledger in self._ledgers():
                ledger.release(node, room, leaving=True)

    def _ledgers(self) -> list[ClusterCapacity]:
        return [self.ledger] if self._future is None else [self.ledger, self._future.ledger]

    def promise(self, plan: ServicePlan | RunPlan, request: PlacementRequest, only: NodeId | None) -> bool:
        """Whether a task that finds no room now will have some: then it is kept for it."""
        if request.priority <= self.lowest:
            return False
        if self._future is None:
            self._future = self._foresee()
        node = self._future.place(request, only)
        if node is None:
            searched = self._future.preemption.searched
            found = self._future.preemption.displace(request, only)
            if found is None:
                return False
            self._searched += self._future.preemption.searched - searched
            self._displace(plan.service, plan.compare, found)
            self._future.ledger.assign(found.node, request)
            node = found.node
        self.ledger.assign(node, request)
        return True

    def _displace(self, service: Service, compare: Compare, found: Displacement) -> None:
        assert self._future is not None
        reason = f"displaced by {service.id}, whose priority is {service.spec.priority}"
        for victim in found.victims:
            task = self._future.take(found.node, victim)
            if task.task.run:
                self.runs[task.task.run].displace(task, reason, compare)
            else:
                self.plans[task.task.service].stop(task, reason, compare)
            self.ledger.release(found.node, victim.request)
            self.ledger.assign(found.node, victim.request, leaving=True)

    def _foresee(self) -> "_Future":
        stopping = {task for plan in self.plans.values() for task in plan.fates}
        stopping |= {ending.view.id for run in self.runs.values() for ending in run.endings}
        staying = [each for each in self.held if each.task.runs and each.task.id not in stopping]
        residents: dict[NodeId, list[Resident]] = defaultdict(list)
        for each in staying:
            # Those of a removed job go anyhow.
            is_planned = not each.task.task.run or each.task.task.run in self.runs
            if is_planned and not each.leaving and not each.task.task.template.pod:
                residents[each.task.task.node].append(Resident(each.task.id, each.request))
        ledger = capacity_of(self.view, staying)
        for node, made in self._created:
            ledger.assign(node, made)
        for node, room in self._kept.values():
            ledger.assign(node, room, leaving=True)
        tasks = {each.task.id: each.task for each in staying}
        return _Future(ledger, residents, tasks, Preemption(ledger, residents))


@dataclass(slots=True)
class _Future:
    """As it will be when all that was told to stop is gone."""

    ledger: ClusterCapacity
    residents: dict[NodeId, list[Resident]]
    tasks: dict[TaskId, TaskView]
    preemption: Preemption

    def place(self, request: PlacementRequest, only: NodeId | None) -> NodeId | None:
        if only is None:
            return self.ledger.take_best(request)
        return only if isinstance(self.ledger.place_on(only, request), Placed) else None

    def take(self, node: NodeId, victim: Resident) -> TaskView:
        self.ledger.release(node, victim.request)
        self.residents[node].remove(victim)
        return self.tasks[victim.task]
