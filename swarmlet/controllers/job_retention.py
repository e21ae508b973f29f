"""How long runs are kept: their result, their tasks and with those their logs.

Rules: of a job's finished runs the youngest are kept, so many that succeeded and so many that did not (`JobPolicy`). Of
a finished run the last `TASKS_KEPT_MAX` tasks are kept, those that failed first: while a task's object is there, its
node keeps its container and its logs. The latest run of a job without a schedule, which others may wait for, is
remembered in any case, if need be without its tasks. A job that is no more keeps nothing. Nothing is forgotten that may
still run.
"""

from collections.abc import Iterable, Iterator

from swarmlet.controllers.fates import SERVICE_REMOVED, Fate
from swarmlet.controllers.job_runs import GIVEN_UP
from swarmlet.controllers.steps import Step, pack
from swarmlet.controllers.view import ClusterView, TaskView
from swarmlet.model.ids import ServiceId
from swarmlet.model.job import JOBS, JobPolicy, JobRun, RunId, RunState, TaskOutcome
from swarmlet.model.objects import SERVICES
from swarmlet.model.state import Versioned
from swarmlet.model.transaction import Compare, Delete, Transaction

TASKS_KEPT_MAX = 20
"""Stopped containers of one run, over all nodes."""


def expire_runs(view: ClusterView, job: ServiceId) -> list[Transaction]:
    service = view.state.services[job].value
    assert service.spec.job is not None, f"{job} is no job"
    runs = view.state.runs_of(job)
    finished = [run for run in runs if not run.value.state.is_active]
    kept = set(_kept((run.value for run in finished), service.spec.job))
    awaited = [] if service.spec.job.schedule else runs[-1:]
    steps = [step for run in finished for step in _expire(view, run, run.value.id in kept, run in awaited)]
    return pack(steps, f"{job}: kept long enough")


def _kept(finished: Iterable[JobRun], policy: JobPolicy) -> Iterator[RunId]:
    youngest_first = sorted(finished, key=lambda run: run.number, reverse=True)
    succeeded = [run.id for run in youngest_first if run.state is RunState.SUCCEEDED]
    yield from succeeded[: policy.history_succeeded]
    yield from [run.id for run in youngest_first if run.state is not RunState.SUCCEEDED][: policy.history_failed]


def _expire(view: ClusterView, run: Versioned[JobRun], is_kept: bool, is_awaited: bool) -> Iterator[Step]:
    tasks = view.run_tasks.get(run.value.id, [])
    if any(each.task.outcome is TaskOutcome.NONE for each in tasks):
        return  # its end is being written down
    by_worth = sorted(tasks, key=_worth, reverse=True)
    dropped = [each for each in by_worth[TASKS_KEPT_MAX if is_kept else 0 :] if _is_over(view, each)]
    because = Compare(run.value.key, run.revision)
    yield from (Step((each.compare, because), (Delete(each.task.key),)) for each in dropped)
    if not is_kept and not is_awaited and not tasks:
        yield Step((because,), (Delete(run.value.key),))


def _worth(view: TaskView) -> tuple[bool, float, str]:
    return view.task.outcome is TaskOutcome.FAILED, view.task.created_at, view.id


def _is_over(view: ClusterView, each: TaskView) -> bool:
    """Whether it had ended when that was written down, or has since."""
    return each.task.outcome not in GIVEN_UP or view.is_dead(each)


def clear_removed_jobs(view: ClusterView) -> list[Transaction]:
    """Of services that are no more, or no jobs any more: tasks, then runs, then the job's own object."""
    steps: list[Step] = []
    services = view.state.services
    jobs = {id_ for id_, each in services.items() if each.value.spec.job is not None}
    for run_id, tasks in sorted(view.run_tasks.items()):
        if run_id not in view.state.job_runs or tasks[0].task.service not in jobs:
            steps += [_clear(view, each) for each in tasks if each.runs or view.is_dead(each)]
    for run in view.state.job_runs.values():
        if run.value.service not in jobs and run.value.id not in view.run_tasks:
            because = (_gone(view, run.value.service), Compare(run.value.key, run.revision))
            steps.append(Step(because, (Delete(run.value.key),)))
    for id_, job in view.state.jobs.items():
        if id_ not in jobs:
            steps.append(Step((_gone(view, id_), Compare(JOBS + id_, job.revision)), (Delete(JOBS + id_),)))
    return pack(steps, "forget the runs of removed jobs")


def _clear(view: ClusterView, each: TaskView) -> Step:
    """Told to stop first, and forgotten by a later look, wherever it is: so this rests on no node."""
    return Fate(each, SERVICE_REMOVED, (_gone(view, each.task.service),), drop=not each.runs).step(view.now)


def _gone(view: ClusterView, service: ServiceId) -> Compare:
    found = view.state.services.get(service)
    return Compare(SERVICES + service, found.revision if found else 0)
