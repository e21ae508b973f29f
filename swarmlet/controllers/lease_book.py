"""The leader's book of leases: which exclusive tasks it let run, and when last. Pure; times are of one monotonic clock.

Rules:
- A lease is granted to a task that is on record for the node that asks, and only while no other task of its service is
  to run. Whoever grants has made sure, after it was asked, that it still leads.
- A task that was told to stop gets leases as long as its grace period lasts (and a while), so that it can end in peace.
- Once a task that was told to stop is taken for gone, it gets no lease any more: `leases` closes it, and the decision
  to replace it is made after that.
- The book is of one term. What was granted in earlier ones, by whomever, was granted before this term began.
"""

from collections.abc import Collection, Mapping

from swarmlet.model.exclusive import LEASE_S, MARGIN_S, STOPPING_SLACK_S, Leases
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.state import Versioned

Tasks = Mapping[TaskId, Versioned[Task]]
_Exclusive = Mapping[TaskId, Task]


class LeaseBook:
    def __init__(self) -> None:
        self._term = 0
        self._began = 0.0
        self._granted: dict[TaskId, float] = {}
        """When last."""
        self._stopping: dict[TaskId, float] = {}
        """Tasks that were told to stop, and when that was first seen here."""
        self._closed: set[TaskId] = set()

    def lead(self, term: int, now: float) -> None:
        """To be called before anything else while this peer leads, with `now` after it was elected."""
        if term != self._term:
            self._term, self._began = term, now
            self._granted, self._stopping, self._closed = {}, {}, set()

    def grant(self, node: NodeId, asked: Collection[TaskId], tasks: Tasks, now: float) -> list[TaskId]:
        """Which of the tasks may go on; `tasks` is what is on record now that this peer's leadership is confirmed."""
        exclusive = _exclusive(tasks)
        self._look(exclusive, now)
        wanted = _wanted(exclusive)
        granted = [id_ for id_ in asked if self._may_run(node, id_, exclusive, wanted, now)]
        self._granted |= dict.fromkeys(granted, now)
        return granted

    def leases(self, tasks: Tasks, now: float, wall_now: float) -> Leases:
        """Until when each may still run. Those that are told to stop and are over by now get no more."""
        exclusive = _exclusive(tasks)
        self._look(exclusive, now)
        ends = {id_: self._end(id_) for id_ in exclusive}
        self._closed |= {id_ for id_ in self._stopping if ends[id_] <= now}
        return Leases({id_: wall_now + end - now for id_, end in ends.items()}, wall_now + self._last_of_before() - now)

    def _look(self, exclusive: _Exclusive, now: float) -> None:
        stopping = {id_ for id_, task in exclusive.items() if task.desired is Desired.STOP}
        self._stopping = {id_: self._stopping.get(id_, now) for id_ in stopping}
        self._closed &= stopping
        self._granted = {id_: at for id_, at in self._granted.items() if id_ in exclusive}

    def _may_run(
        self, node: NodeId, id_: TaskId, exclusive: _Exclusive, wanted: Mapping[ServiceId, set[TaskId]], now: float
    ) -> bool:
        task = exclusive.get(id_)
        if task is None or task.node != node or id_ in self._closed:
            return False
        if wanted.get(task.service, set()) - {id_}:
            return False
        patience_s = task.template.stop_grace_period_s + STOPPING_SLACK_S
        return id_ not in self._stopping or now < self._stopping[id_] + patience_s

    def _end(self, id_: TaskId) -> float:
        granted = self._granted.get(id_)
        return self._last_of_before() if granted is None else granted + LEASE_S + MARGIN_S

    def _last_of_before(self) -> float:
        return self._began + LEASE_S + MARGIN_S


def _exclusive(tasks: Tasks) -> dict[TaskId, Task]:
    return {id_: task.value for id_, task in tasks.items() if task.value.template.exclusive}


def _wanted(exclusive: _Exclusive) -> dict[ServiceId, set[TaskId]]:
    """By service: its tasks that are to run. One at most, unless it has just become exclusive."""
    found: dict[ServiceId, set[TaskId]] = {}
    for id_, task in exclusive.items():
        if task.desired is Desired.RUN:
            found.setdefault(task.service, set()).add(id_)
    return found
