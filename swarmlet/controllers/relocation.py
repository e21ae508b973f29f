"""Relocation: how tasks leave their nodes. Who leaves and why is in `hosts`; who goes where, in `placing`.

Rules:
- A successor starts elsewhere beside the task, which stops when the successor is ready: it is a former of its seat (see
  `seats`), and what ends formers ends it. It counts as part of the rollout's surge.
- Where both must not be at once (`stops_first`) it is stopped first, within the disruption budget, and its seat is
  filled again when nothing of it runs any more.
- Members of a pod leave together (see `pod_departures`).
- A task that serves nobody stops at once. Past the deadline of a drain everything does.
- A global service's task belongs to its node and has no successor. It goes last: others may need it till they are gone.
- A mark with a target is a proposal: where the target refuses the task, the mark is taken off and the task stays. What
  that allows to others (its part of the surge) is for the next look.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from swarmlet.controllers.budget import Budget
from swarmlet.controllers.fates import Fate
from swarmlet.controllers.hosts import stops_first
from swarmlet.controllers.pod_tasks import key_of
from swarmlet.controllers.seats import NO_NODE, Seat
from swarmlet.controllers.steps import Step
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.objects import Service, Task
from swarmlet.model.spec import Mode
from swarmlet.model.state import Versioned
from swarmlet.model.transaction import Compare, put


def marked(task: Versioned[Task], reason: str, to: NodeId = NO_NODE) -> Step:
    """Let the task leave its node, for a given node or for the one that the scheduler finds best."""
    wanted = task.value.model_copy(update={"relocate": reason, "relocate_to": to})
    return Step((Compare(wanted.key, task.revision),), (put(wanted.key, wanted),))


def unmarked(view: TaskView) -> Step:
    stays = view.task.model_copy(update={"relocate": "", "relocate_to": NO_NODE})
    return Step((view.compare,), (put(stays.key, stays),))


def is_overdue(view: ClusterView, task: TaskView) -> bool:
    """The deadline of its node's drain has passed."""
    drain = task.node.node.drain if task.node else None
    return drain is not None and drain.deadline is not None and view.now >= drain.deadline


@dataclass(slots=True)
class Departures:
    """Leaving tasks that stop before anyone takes over from them."""

    fates: list[Fate] = field(default_factory=list)
    within_budget: set[TaskId] = field(default_factory=set)
    """Those that are right only as long as the others serve."""
    waiting: int = 0
    budget: Budget | None = None

    def stop(self, task: TaskView, reason: str, service: Compare) -> None:
        self.fates.append(Fate(task, reason, (service, task.node_compare)))

    @property
    def message(self) -> str:
        what = "task waits" if self.waiting == 1 else "tasks wait"
        return f"{self.waiting} {what} to leave: {self.budget}" if self.waiting else ""


def departures(
    view: ClusterView, service: Service, seats: Collection[Seat], wanted: int, because: Compare
) -> Departures:
    """`because` is what holds of the service."""
    budget = Budget.of(service.spec.max_unavailable, seats, wanted)
    found = Departures(budget=budget)
    for seat in seats:
        for task in leaving(seat):
            if is_overdue(view, task):
                found.stop(task, f"{task.leaves}, past its deadline", because)
            elif service.spec.mode is Mode.GLOBAL:
                if task.task.node not in view.unfinished_drains:
                    found.stop(task, task.leaves, because)
            elif leaves_with_its_pod(view, service, seat):
                pass  # all of it at once
            elif task.standing is Standing.UNREADY:
                found.stop(task, task.leaves, because)
            elif stops_first(service.spec) and len(seat) == 1:
                if budget.take(task):
                    found.stop(task, task.leaves, because)
                    found.within_budget.add(task.id)
                else:
                    found.waiting += 1
    return found


def leaves_with_its_pod(view: ClusterView, service: Service, seat: Seat) -> bool:
    """The task of the seat; of two there, the one that leaves makes place for the other like any former."""
    if not view.pods.leaving:
        return False
    tasks = leaving(seat)
    return len(seat) == len(tasks) == 1 and key_of(tasks[0].task) in view.pods.leaving and stops_first(service.spec)


def to_be_followed(service: Service, seats: Iterable[Seat]) -> list[tuple[Seat, TaskView]]:
    """Seats that wait for a successor to start beside the leaving task: not beside two of them."""
    if service.spec.mode is Mode.GLOBAL or stops_first(service.spec):
        return []
    return [(seat, leaving(seat)[-1]) for seat in seats if leaving(seat) and len(seat) == 1]


def leaving(seat: Seat) -> list[TaskView]:
    return [each for each in seat.formers if each.leaves]
