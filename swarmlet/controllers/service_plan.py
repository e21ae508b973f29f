"""What one service needs: which of its tasks have to stop, and which seats wait for a task.

Read top to bottom, the rules take effect in this order: lost tasks are given up; a seat has one current task;
seats above the wanted number are cleared, the least valuable first; the rollout is judged and moves on (see
`rollout_progress` and `rollout`); tasks leave their nodes (see `relocation`); seats open (see `openings`). Who goes
where is for `placing`.
"""

import heapq
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from swarmlet.controllers import exclusive, relocation, rollout
from swarmlet.controllers.budget import Budget
from swarmlet.controllers.fates import NODE_LEFT, NODE_LOST, SCALED_DOWN, Fate
from swarmlet.controllers.openings import Opening, SeatPlan
from swarmlet.controllers.rollout import Course
from swarmlet.controllers.rollout_progress import Progress
from swarmlet.controllers.seats import Seat, SeatKey, seat_key, seats_of
from swarmlet.controllers.start_order import waits_for
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.ids import TaskId
from swarmlet.model.objects import NodeStatus, Service
from swarmlet.model.spec import Mode
from swarmlet.model.state import Versioned
from swarmlet.model.transaction import Compare


@dataclass(slots=True)
class ServicePlan:
    service: Service
    revision: int
    """Store revision of the service object."""
    seats: dict[SeatKey, Seat]
    """As they will be, once the fates have taken effect."""
    wanted: int
    newest: dict[SeatKey, TaskView]
    """Per seat the youngest task that is on record, running or not."""
    progress: Progress
    fates: dict[TaskId, Fate] = field(default_factory=dict)
    surplus: set[TaskId] = field(default_factory=set)
    """Those of the fates that are right only as long as the others stay."""
    openings: list[Opening] = field(default_factory=list)
    unmarked: list[TaskView] = field(default_factory=list)
    """Tasks that stay although they were marked to leave: the node that they were to go to refuses them."""
    messages: list[str] = field(default_factory=list)
    per_node: dict[str, str] = field(default_factory=dict)
    waits_because: str = ""
    """Why something that is due can't be done."""

    @property
    def compare(self) -> Compare:
        return Compare(self.service.key, self.revision)

    @property
    def is_global(self) -> bool:
        return self.service.spec.mode is Mode.GLOBAL

    def stop(self, view: TaskView, reason: str, *because: Compare) -> None:
        self.fates[view.id] = Fate(view, reason, because)

    def seats_with_fates_done(self) -> None:
        """Take those who got a fate out of their seats."""
        if not self.fates:
            return
        for seat in list(self.seats.values()):
            seat.currents = [view for view in seat.currents if view.id not in self.fates]
            seat.formers = [view for view in seat.formers if view.id not in self.fates]
            if not len(seat):
                del self.seats[seat.key]


def plan_service(view: ClusterView, versioned: Versioned[Service]) -> ServicePlan:
    plan = _start(view, versioned)
    _one_current_per_seat(plan)
    if not plan.is_global:
        _clear_surplus_seats(plan)
    _move_on(view, plan)
    return plan


def _move_on(view: ClusterView, plan: ServicePlan) -> None:
    """The rollout, and the seats that are to be filled."""
    progress = plan.progress
    progress.judge(plan.seats.values())
    wait = waits_for(view, plan.service)
    if wait is not None and wait.in_vain and progress.rolls_back is None:
        progress.give_up(wait.text)
    if progress.rolls_back is not None:
        return
    course = progress.course(plan.seats.values())
    if wait is not None:
        course = replace(course, held=True)
    for fate in rollout.stops(view, plan.seats.values(), course, plan.compare):
        plan.fates[fate.view.id] = fate
    plan.seats_with_fates_done()
    _make_room(view, plan, course)
    _let_leave(view, plan)
    other = exclusive.waits_for(view, plan.service)
    if not other:
        plan.openings = SeatPlan(view, plan.service, plan.seats, plan.wanted, plan.newest, course).openings()
    if wait is not None:
        plan.openings = [opening for opening in plan.openings if opening.service is not plan.service]
        plan.messages.append(wait.text)
    elif other and len(plan.seats) < plan.wanted:
        plan.messages.append(other)
    progress.finish(plan.seats.values(), course)
    _report_stuck_rollout(view, plan)


def conclude(plan: ServicePlan) -> None:
    """After placing: what could not be placed may have waited for too long. To be called once."""
    if plan.waits_because and plan.progress.rolls_back is None:
        plan.progress.judge_waiting(plan.waits_because)
    if plan.progress.message:
        plan.messages.append(plan.progress.message)


def _start(view: ClusterView, versioned: Versioned[Service]) -> ServicePlan:
    service, mode = versioned.value, versioned.value.spec.mode
    everyone = view.tasks_of(service.id)
    running = [each for each in everyone if each.runs]
    lost = [each for each in running if _is_lost(each, mode)]
    lost_ids = {each.id for each in lost}
    wanted = len(view.hosts_of(service)) if mode is Mode.GLOBAL else service.spec.replicas
    plan = ServicePlan(
        service=service,
        revision=versioned.revision,
        seats=seats_of((each for each in running if each.id not in lost_ids), mode, service.revision),
        wanted=wanted,
        newest={seat_key(each.task, mode): each for each in sorted(everyone, key=_age)},
        progress=Progress.of(view, versioned, wanted),
    )
    for each in lost:
        left = each.node is not None and each.node.node.status is NodeStatus.LEFT
        plan.stop(each, NODE_LEFT if left else NODE_LOST, each.node_compare)
        plan.fates[each.id].drop = plan.is_global
    return plan


def _age(view: TaskView) -> tuple[int, float, str]:
    return view.task.generation, view.task.created_at, view.id


def _is_lost(view: TaskView, mode: Mode) -> bool:
    """A global service's task belongs to its node, even one that ended; any other that ended has done its work."""
    return view.standing is Standing.LOST or (mode is Mode.GLOBAL and view.on_lost_node)


def _one_current_per_seat(plan: ServicePlan) -> None:
    for seat in plan.seats.values():
        kept = seat.current
        for other in seat.currents:
            if kept is not None and other is not kept:
                plan.stop(other, f"duplicate of task {kept.id}", plan.compare, kept.compare)
    plan.seats_with_fates_done()


def _clear_surplus_seats(plan: ServicePlan) -> None:
    if plan.service.spec.template.pod:
        # A pod's members keep the same slots.
        surplus = [seat for seat in plan.seats.values() if seat.key[0] > plan.wanted]
    else:
        surplus = _least_valuable(plan.seats.values(), len(plan.seats) - plan.wanted)
    for seat in surplus:
        for each in seat:
            plan.stop(each, SCALED_DOWN, plan.compare)
            plan.surplus.add(each.id)
    plan.seats_with_fates_done()


def _least_valuable(seats: Collection[Seat], count: int) -> list[Seat]:
    """Seats that are not ready, then those not yet rolled out or to be relocated, then those on the most crowded nodes.

    Clearing a seat makes its node less crowded, which only ever makes the node's other seats dearer; so an
    entry of the heap that is out of date is put back with its new value when it comes to the top.
    """
    if count <= 0:
        return []
    crowd = Counter(seat.best.task.node for seat in seats)

    def value(seat: Seat) -> tuple[Standing, bool, int, int]:
        best = seat.best
        return best.standing, bool(seat.currents), -crowd[best.task.node], -seat.key[0]

    heap = [(value(seat), seat.key, seat) for seat in seats]
    heapq.heapify(heap)
    chosen: list[Seat] = []
    while heap and len(chosen) < count:
        stale, _key, seat = heap[0]
        fresh = value(seat)
        if fresh != stale:
            heapq.heapreplace(heap, (fresh, seat.key, seat))
            continue
        heapq.heappop(heap)
        chosen.append(seat)
        crowd[seat.best.task.node] -= 1
    return chosen


def _make_room(view: ClusterView, plan: ServicePlan, course: Course) -> None:
    seats = plan.seats.values()
    budget = Budget.of(plan.service.spec.max_unavailable, seats, plan.wanted)
    among = [seat for seat in seats if not relocation.leaves_with_its_pod(view, plan.service, seat)]
    chosen = rollout.makes_room(view, seats, course, budget, among)
    for each in chosen:
        plan.stop(each, each.leaves or f"makes room for revision {plan.service.revision}", plan.compare)
        # As in a scale-down: right only as long as the others stay.
        plan.surplus.add(each.id)
    held_back = course.held or course.new_max is not None
    if not chosen and course.stop_first and not held_back and any(seat.formers for seat in among):
        plan.waits_because = str(budget)
    plan.seats_with_fates_done()


def _let_leave(view: ClusterView, plan: ServicePlan) -> None:
    found = relocation.departures(view, plan.service, plan.seats.values(), plan.wanted, plan.compare)
    for fate in found.fates:
        plan.fates[fate.view.id] = fate
    plan.surplus |= found.within_budget
    if found.message:
        plan.messages.append(found.message)
    plan.seats_with_fates_done()


def _report_stuck_rollout(view: ClusterView, plan: ServicePlan) -> None:
    stuck = rollout.stuck(plan.seats.values())
    if stuck:
        what = "task does" if len(stuck) == 1 else "tasks do"
        plan.messages.append(
            f"the rollout of revision {plan.service.revision} waits: {len(stuck)} new {what} not become ready; "
            "the old ones go on serving"
        )
        for each, why in stuck:
            plan.per_node.setdefault(view.name_of(each.task.node), f"task {each.id} {why}")
