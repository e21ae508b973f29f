"""Init services: those whose end others wait for (`service_completed_successfully`), and what follows from it.

Rules:
- An init service runs once before each new revision of a service that waits for its end, because a deploy binds it to
  them (`model.bonds`). With nothing changed nothing runs; nor does it run for a task more, or for one that is replaced
  after its node was lost.
- How a task of it ended is stored, for its node may be lost. One that ended badly runs again with the next deploy, even
  if nothing else has changed.
- It never runs twice at once, and its failure is not undone by running an older revision of it.

Decision record 0058.
"""

from collections.abc import Iterable, Iterator

from swarmlet.controllers.steps import Step
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.bonds import awaited_by
from swarmlet.model.ids import ServiceId, service_id
from swarmlet.model.objects import Desired, Service
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Compare, put

RUNS_AGAIN = "runs again: it ended badly"
ENDS_RECORDED_MAX = 1_000
"""By one look; the rest follows with the next."""


def again(state: ClusterState, services: Iterable[Service], now: float) -> Iterator[Step]:
    """Init services that ended badly, and that a deploy leaves as they are, run again."""
    kept = {service.id: service.revision for service in services}
    for versioned in state.tasks.values():
        task = versioned.value
        if task.desired is Desired.RUN and task.ended_with and kept.get(task.service) == task.revision:
            stopped = task.model_copy(update={"desired": Desired.STOP, "stop_reason": RUNS_AGAIN, "stopped_at": now})
            yield Step((Compare(task.key, versioned.revision),), (put(task.key, stopped),))


def ends(view: ClusterView, settled: Iterable[str]) -> list[Step]:
    """How tasks of init services ended, as far as it is known and not stored. `settled` are the keys written anyway."""
    keys = frozenset(settled)
    found = [each for id_ in _inits(view.state) for each in view.tasks_of(id_) if _is_news(each)]
    return [_recorded(each) for each in found if each.task.key not in keys][:ENDS_RECORDED_MAX]


def _inits(state: ClusterState) -> list[ServiceId]:
    waiting = (each.value for each in state.services.values() if each.value.spec.depends_on)
    return sorted({service_id(service.stack, name) for service in waiting for name in awaited_by(service.spec)})


def _is_news(each: TaskView) -> bool:
    ended = each.runs and each.standing is Standing.ENDED
    return ended and each.task.ended_with is None and each.exit_code is not None


def _recorded(each: TaskView) -> Step:
    ended = each.task.model_copy(update={"ended_with": each.exit_code})
    return Step((each.compare,), (put(ended.key, ended),))
