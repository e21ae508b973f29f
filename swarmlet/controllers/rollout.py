"""Rollout, start-first: a new task is started beside the old one, which stops when the new one is ready.

Rules: at most `surge` seats hold more than one task; an old task stops only because the new one of its own
seat is ready (or has ended, where the old one serves nobody either), so a rollout never costs a ready seat; a
new task that does not become ready leaves the old one serving, and the rollout waits. When a newer revision
arrives midway, the unfinished tasks of the one in between stop first; of several old tasks in a seat the
youngest ready one is kept. Seats are what counts, not tasks in all: a seat that can't be filled, or whose task
keeps failing, does not hold up the others.
"""

import math
from collections.abc import Iterable, Iterator

from swarmlet.controllers.fates import Fate
from swarmlet.controllers.seats import Seat
from swarmlet.controllers.view import Standing, TaskView
from swarmlet.model.ids import RevisionHash
from swarmlet.model.observed import Health, Phase
from swarmlet.model.transaction import Compare


def surge(wanted: int) -> int:
    """How many tasks more than wanted a rollout may run at a time: a third, at least one."""
    return max(1, math.ceil(wanted / 3))


def stops(seats: Iterable[Seat], revision: RevisionHash, wanted: int, service: Compare) -> list[Fate]:
    """The tasks that the rollout no longer needs. Seats are left as they are; the caller takes the tasks out."""
    fates: list[Fate] = []
    beside: list[TaskView] = []
    for seat in seats:
        seat_fates = list(_stops_in(seat, revision, service))
        stopped = {fate.view.id for fate in seat_fates}
        fates += seat_fates
        staying = [view for view in seat if view.id not in stopped]
        kept = _keeper([view for view in seat.formers if view.id not in stopped]) or seat.current
        beside += [view for view in staying if view is not kept]
    return fates + _above_surge(beside, len(beside) - surge(wanted), service)


def _stops_in(seat: Seat, revision: RevisionHash, service: Compare) -> Iterator[Fate]:
    current = seat.current
    if current is not None and any(replaces(current, former) for former in seat.formers):
        for former in seat.formers:
            reason = former.leaves or f"replaced by revision {revision}"
            yield Fate(former, reason, (service, current.compare))
        return
    keeper = _keeper(seat.formers)
    for former in seat.formers:
        if keeper is None or former is keeper:
            continue
        if former.standing is Standing.UNKNOWN and keeper.standing is not Standing.READY:
            continue  # its node has not spoken yet: it may be the one that serves
        yield Fate(former, f"superseded by revision {revision}", (service, keeper.compare))


def replaces(current: TaskView, former: TaskView) -> bool:
    if current.standing is Standing.READY:
        return True
    if current.standing is not Standing.ENDED:
        return False
    # One that has ended serves nobody: it takes over from one that has ended too, or that is no use anyway.
    return former.standing is Standing.ENDED or (current.succeeded and former.standing is Standing.UNREADY)


def _keeper(formers: list[TaskView]) -> TaskView | None:
    """The youngest that is ready; else the oldest, which once served."""
    ready = [former for former in formers if former.standing is Standing.READY]
    if ready:
        return ready[-1]
    return formers[0] if formers else None


def _above_surge(beside: list[TaskView], excess: int, service: Compare) -> list[Fate]:
    """After a scale-down fewer tasks may run beside others: the least worthy give way, the youngest first."""
    beside = sorted(beside, key=lambda view: (view.standing, -view.task.created_at, view.id))
    reason = "held back: fewer tasks may be replaced at a time"
    return [Fate(view, reason, (service,)) for view in beside[: max(excess, 0)]]


def room(seats: Iterable[Seat], wanted: int) -> int:
    """How many more tasks may start beside others."""
    return surge(wanted) - sum(len(seat) - 1 for seat in seats)


def next_seats(seats: Iterable[Seat], room: int) -> list[Seat]:
    """The seats whose turn it is: those that serve least first, then in order."""
    waiting = sorted((seat for seat in seats if not seat.currents), key=lambda seat: (seat.best.standing, seat.key))
    return waiting[: max(room, 0)]


def stuck(seats: Iterable[Seat]) -> list[tuple[TaskView, str]]:
    """New tasks that keep an old one from stopping and have a reason, not merely a little more time to go."""
    return [
        (seat.current, why)
        for seat in seats
        if seat.formers and seat.current is not None and (why := _trouble(seat.current))
    ]


def _trouble(view: TaskView) -> str:
    status = view.status
    if status is None:
        return ""
    if status.phase is Phase.EXITED:
        return f"ended with exit status {status.exit_code}"
    if status.phase is Phase.BACKOFF or status.health is Health.UNHEALTHY or status.restarts:
        return status.message or ("is unhealthy" if status.health is Health.UNHEALTHY else "keeps ending")
    if status.phase is Phase.PENDING:
        return status.message
    return ""
