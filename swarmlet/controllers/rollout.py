"""The moves of a rollout: which old tasks stop, and whose turn it is.

Rules:
- Start-first: a new task starts beside the old one of its seat, which stops when the new one has stood its trial (or
  has ended, where the old one serves nobody either). So a rollout never costs a ready seat. At most `surge` seats hold
  more than one task.
- Stop-first: a seat's old task stops, within the disruption budget, then its seat is empty and gets a new one.
- Blue-green: every seat gets its new task; when all have stood their trial, all old ones stop.
- No more than `at_once` seats are in transition: their new task is not there yet, or has not stood its trial and the
  delay after it. So a new task that does not become ready holds the rollout up, and the old ones serve on.
- When a newer revision arrives midway, the unfinished tasks of the one in between stop first; of several old tasks in
  a seat the youngest ready one is kept.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from swarmlet.controllers.budget import Budget
from swarmlet.controllers.fates import Fate
from swarmlet.controllers.seats import Seat
from swarmlet.controllers.verdicts import has_stood, trouble
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.ids import RevisionHash
from swarmlet.model.objects import Service
from swarmlet.model.revisions import NOBODY
from swarmlet.model.rollout import Order, UpdatePolicy
from swarmlet.model.transaction import Compare


@dataclass(frozen=True, slots=True)
class Course:
    """How the rollout goes on from here: its policy, and what is stored of it, made one."""

    revision: RevisionHash
    policy: UpdatePolicy
    wanted: int
    at_once: int
    surge: int
    held: bool = False
    """Nothing new is begun."""
    new_max: int | None = None
    """So many seats may have a task of the new revision for now."""
    blue_green: bool = False
    serving: RevisionHash = NOBODY
    """Blue-green: whose tasks have the traffic."""
    before: Service | None = None
    """The service as its last healthy revision; None where there is none to replace anything by."""

    @property
    def switched(self) -> bool:
        return self.serving == self.revision

    @property
    def earlier(self) -> Service | None:
        """What goes missing is replaced as this, where the rollout may not have every seat yet; None where it may."""
        partial = self.held or self.new_max is not None or (self.blue_green and not self.switched)
        return self.before if partial else None

    @property
    def stop_first(self) -> bool:
        return self.policy.order is Order.STOP_FIRST and not self.blue_green


def stops(view: ClusterView, seats: Collection[Seat], course: Course, service: Compare) -> list[Fate]:
    """The tasks that the rollout no longer needs. Seats are left as they are; the caller takes the tasks out."""
    fates: list[Fate] = []
    beside: list[TaskView] = []
    for seat in seats:
        seat_fates = list(_stops_in(view, seat, course, service))
        stopped = {fate.view.id for fate in seat_fates}
        fates += seat_fates
        staying = [each for each in seat if each.id not in stopped]
        kept = _holder(seat, [each for each in seat.formers if each.id not in stopped], course)
        beside += [each for each in staying if each is not kept]
    return fates + _above_surge(beside, len(beside) - course.surge, service)


def _stops_in(view: ClusterView, seat: Seat, course: Course, service: Compare) -> Iterator[Fate]:
    current, formers = seat.current, seat.formers
    if course.blue_green:
        outdated = [former for former in formers if former.task.revision != course.revision]
        formers = [former for former in formers if former not in outdated]
        for former in outdated if course.switched else ():
            yield Fate(former, f"replaced by revision {course.revision}", (service,))
    if current is not None and any(replaces(view, current, former, course) for former in formers):
        for former in formers:
            reason = former.leaves or f"replaced by revision {course.revision}"
            yield Fate(former, reason, (service, current.compare))
        return
    if course.blue_green and course.switched:
        return
    keeper = _keeper(seat.formers, course)
    for former in seat.formers:
        if keeper is None or former is keeper:
            continue
        if former.standing is Standing.UNKNOWN and keeper.standing is not Standing.READY:
            continue  # its node has not spoken yet: it may be the one that serves
        if keeper.leaves and course.earlier is not None and former.task.revision == course.earlier.revision:
            continue  # it is to follow the keeper, and will be ready
        reason = former.leaves or f"superseded by revision {course.revision}"
        yield Fate(former, reason, (service, keeper.compare))


def replaces(view: ClusterView, current: TaskView, former: TaskView, course: Course) -> bool:
    if has_stood(view, current, course.policy.monitor_s):
        return True
    if current.standing is not Standing.ENDED:
        return False
    # One that has ended serves nobody: it takes over from one that has ended too, or that is no use anyway.
    return former.standing is Standing.ENDED or (current.succeeded and former.standing is Standing.UNREADY)


def _keeper(formers: list[TaskView], course: Course) -> TaskView | None:
    """One that has the traffic; else the youngest that is ready; else the oldest, which once served."""
    if course.blue_green:
        formers = [former for former in formers if former.task.revision == course.serving] or formers
    ready = [former for former in formers if former.standing is Standing.READY]
    if ready:
        return ready[-1]
    return formers[0] if formers else None


def _holder(seat: Seat, formers: list[TaskView], course: Course) -> TaskView | None:
    """Whose seat it is, for now: all others are beside it. Never one that does not serve where another one does."""
    keeper, current = _keeper(formers, course), seat.current
    if keeper is None:
        return current
    serves = current is not None and not course.blue_green and current.standing is Standing.READY
    return current if serves and keeper.standing is not Standing.READY else keeper


def _above_surge(beside: list[TaskView], excess: int, service: Compare) -> list[Fate]:
    """After a scale-down fewer tasks may run beside others: the least worthy give way, the youngest first."""
    beside = sorted(beside, key=lambda view: (view.standing, -view.task.created_at, view.id))
    reason = "held back: fewer tasks may be replaced at a time"
    return [Fate(view, reason, (service,)) for view in beside[: max(excess, 0)]]


def makes_room(
    view: ClusterView, seats: Collection[Seat], course: Course, budget: Budget, among: Collection[Seat]
) -> list[TaskView]:
    """Stop-first: the old tasks that stop for their successors, those that serve least first."""
    if course.held or not course.stop_first:
        return []
    chosen: list[TaskView] = []
    for seat in _turns(view, seats, course, among):
        if not budget.take(seat.best):
            break
        chosen += seat.formers
    return chosen


def next_seats(view: ClusterView, seats: Collection[Seat], course: Course, among: Collection[Seat]) -> list[Seat]:
    """Start-first: the seats whose turn it is to get a new task beside the old one."""
    return [] if course.held or course.stop_first else _turns(view, seats, course, among)


def room(seats: Collection[Seat], course: Course) -> int:
    """How many more tasks may start beside others."""
    return course.surge - sum(len(seat) - 1 for seat in seats)


def _turns(view: ClusterView, seats: Collection[Seat], course: Course, among: Collection[Seat]) -> list[Seat]:
    """The seats whose turn it is: those that serve least first, then in order."""
    free = course.wanted if course.blue_green else course.at_once - in_transition(view, seats, course)
    if not course.stop_first:
        free = min(free, room(seats, course))
    if course.new_max is not None:
        free = min(free, share(seats, course) - missing(seats, course))
    waiting = sorted((seat for seat in among if not seat.currents), key=lambda seat: (seat.best.standing, seat.key))
    return waiting[: max(free, 0)]


def share(seats: Collection[Seat], course: Course) -> int:
    """How many more seats may have a task of the new revision for now."""
    if course.held or (course.blue_green and not course.switched):
        return 0
    having = sum(any(each.task.revision == course.revision for each in seat) for seat in seats)
    return (course.wanted if course.new_max is None else course.new_max) - having


def in_transition(view: ClusterView, seats: Collection[Seat], course: Course) -> int:
    trial_s = course.policy.monitor_s + course.policy.delay_s
    unsettled = sum(seat.current is not None and not _is_settled(view, seat, trial_s) for seat in seats)
    return unsettled + (missing(seats, course) if course.stop_first else 0)


def missing(seats: Collection[Seat], course: Course) -> int:
    return max(0, course.wanted - len(seats))


def is_complete(view: ClusterView, seats: Collection[Seat], course: Course) -> bool:
    """Every seat is held by a new task that has stood its trial, or has done its work, and by nobody else."""
    return len(seats) >= course.wanted and all(
        not seat.formers and _is_settled(view, seat, course.policy.monitor_s) for seat in seats
    )


def is_ready_to_switch(view: ClusterView, seats: Collection[Seat], course: Course) -> bool:
    return len(seats) >= course.wanted and all(_is_settled(view, seat, course.policy.monitor_s) for seat in seats)


def is_proven(view: ClusterView, seats: Collection[Seat], course: Course) -> bool:
    """A new task has stood its trial, or has done its work."""
    return any(_is_settled(view, seat, course.policy.monitor_s) for seat in seats)


def settled_count(view: ClusterView, seats: Collection[Seat], course: Course) -> int:
    return sum(_is_settled(view, seat, course.policy.monitor_s) for seat in seats)


def _is_settled(view: ClusterView, seat: Seat, trial_s: float) -> bool:
    current = seat.current
    return current is not None and (current.succeeded or has_stood(view, current, trial_s))


def stuck(seats: Iterable[Seat]) -> list[tuple[TaskView, str]]:
    """New tasks that keep an old one from stopping and have a reason, not merely a little more time to go."""
    return [
        (seat.current, why)
        for seat in seats
        if seat.formers and seat.current is not None and (why := trouble(seat.current))
    ]
