"""Answers about jobs, derived from one moment. Pure."""

from collections.abc import Sequence

from swarmlet.api.jobs_schema import JobDetailView, JobView, RunDetailView, RunView
from swarmlet.api.views import Moment, task_views
from swarmlet.model.ids import ServiceId
from swarmlet.model.job import JobRun
from swarmlet.model.objects import Desired, Service, Task
from swarmlet.model.schedule import BadSchedule, schedule_of
from swarmlet.model.spec import Mode


def job_view(moment: Moment, service: Service) -> JobView:
    policy, runs = service.spec.job, _runs(moment, service.id)
    assert policy is not None, f"{service.id} is no job"
    stored = moment.state.jobs.get(service.id)
    job = stored.value if stored else None
    problem = moment.problem(service.id)
    return JobView(
        id=service.id,
        stack=service.stack,
        name=service.spec.name,
        image=service.spec.template.image,
        mode=f"{service.spec.mode}-job",
        completions=None if service.spec.mode is Mode.GLOBAL else policy.completions,
        parallelism=policy.parallelism,
        retries=policy.retries,
        deadline_s=policy.deadline_s or None,
        schedule=policy.schedule,
        time_zone=policy.time_zone,
        concurrency=policy.concurrency,
        next_at=_next_at(moment, service),
        missed=job.missed if job else 0,
        missed_last=(job.missed_last or None) if job else None,
        skipped=job.skipped if job else 0,
        skipped_last=(job.skipped_last or None) if job else None,
        active=sum(run.state.is_active for run in runs),
        last=run_view(moment, runs[-1]) if runs else None,
        problem=problem.message if problem else "",
    )


def job_detail(moment: Moment, service: Service) -> JobDetailView:
    runs = [run_view(moment, run) for run in reversed(_runs(moment, service.id))]
    return JobDetailView(**job_view(moment, service).model_dump(), runs=runs)


def run_view(moment: Moment, run: JobRun, tasks: Sequence[Task] | None = None) -> RunView:
    known = run_tasks(moment, run) if tasks is None else tasks
    problem = moment.problem(run.service) if run.state.is_active else None
    return RunView(
        id=run.id,
        job=run.service,
        number=run.number,
        state=run.state,
        reason=run.reason or (problem.message if problem else ""),
        cause=run.cause,
        moment=run.moment or None,
        created_at=run.created_at,
        started_at=run.started_at or None,
        ended_at=run.ended_at or None,
        completions=run.completions,
        succeeded=run.succeeded,
        running=sum(task.desired is Desired.RUN for task in known),
        failed=run.failed,
        lost=run.lost,
        revision=run.revision,
    )


def run_detail(moment: Moment, run: JobRun) -> RunDetailView:
    tasks = run_tasks(moment, run)
    return RunDetailView(**run_view(moment, run, tasks).model_dump(), tasks=task_views(moment, tasks))


def run_tasks(moment: Moment, run: JobRun) -> list[Task]:
    return [each.value for each in moment.state.tasks.values() if each.value.run == run.id]


def _runs(moment: Moment, service: ServiceId) -> list[JobRun]:
    return [run.value for run in moment.state.runs_of(service)]


def _next_at(moment: Moment, service: Service) -> float | None:
    policy = service.spec.job
    if policy is None or not policy.schedule:
        return None
    try:
        return schedule_of(policy.schedule, policy.time_zone).next_after(moment.now)
    except BadSchedule:
        return None  # the leader says so as a problem of the job
