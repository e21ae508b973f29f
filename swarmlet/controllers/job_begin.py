"""When runs begin: once for each deployed revision, or at scheduled moments.

Rules: what becomes of a scheduled moment is decided in one transaction with the job's `decided_until`, which only
rises; so each moment is run at most once, whoever leads. Of the moments that passed unseen only the last one is run,
and only if it is younger than `LATE_S`; the others are counted as missed and said so. One that finds an earlier run in
its way is skipped (`forbid`), replaces it (`replace`: see `job_runs`) or is run beside it (`allow`, up to
`RUNS_AT_ONCE_MAX`). A new schedule counts from when it was deployed.
"""

import hashlib
from collections.abc import Iterable

from swarmlet.controllers.job_runs import RunPlan
from swarmlet.controllers.steps import Step
from swarmlet.controllers.view import ClusterView
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.job import Cause, Concurrency, Job, JobRun, RunId
from swarmlet.model.objects import Service
from swarmlet.model.schedule import schedule_of
from swarmlet.model.spec import Mode
from swarmlet.model.state import ClusterState, Versioned
from swarmlet.model.transaction import Compare, Put, put

LATE_S = 60.0
"""Longer than any change of the leader takes, shorter than anybody would call 'on time'."""
RUNS_AT_ONCE_MAX = 10
"""Of one job whose policy allows several; further moments are skipped."""


def begin(view: ClusterView, service: Versioned[Service], runs: Iterable[RunPlan]) -> Step | None:
    """The one run that is to be begun now, and what is noted down of the moments that passed. Raises `BadSchedule`."""
    policy = service.value.spec.job
    assert policy is not None, f"{service.value.id} is no job"
    stored = view.state.jobs.get(service.value.id)
    before = stored.value if stored else Job(service=service.value.id)
    after, run = _scheduled(view, service.value, before, runs) if policy.schedule else _deployed(view, service, before)
    if after == before and stored is not None:
        return None
    compares: tuple[Compare, ...] = (
        Compare(service.value.key, service.revision),
        Compare(after.key, stored.revision if stored else 0),
    )
    operations: tuple[Put, ...] = (put(after.key, after),)
    if run is not None:
        compares += (Compare(run.key, 0),)
        operations += (put(run.key, run),)
    return Step(compares, operations)


def new_run(
    service: Service, job: Job, cause: Cause, basis: str, now: float, nodes: tuple[NodeId, ...], moment: float = 0.0
) -> tuple[Job, JobRun]:
    """The next run of the job. `basis` tells it apart from all others of the same cause."""
    policy = service.spec.job
    assert policy is not None, f"{service.id} is no job"
    number = job.last_number + 1
    run = JobRun(
        id=derived_run_id(service.id, cause, basis),
        service=service.id,
        number=number,
        revision=service.revision,
        policy=policy,
        cause=cause,
        moment=moment,
        nodes=nodes,
        created_at=now,
    )
    return job.model_copy(update={"last_number": number}), run


def derived_run_id(service: ServiceId, cause: Cause, basis: str) -> RunId:
    return RunId(hashlib.sha256("\n".join((service, cause, basis)).encode()).hexdigest()[:12])


def last_number(state: ClusterState, job: Job) -> Job:
    """Runs may be left from before the job was removed and deployed anew: their numbers are not given again."""
    highest = max((run.value.number for run in state.runs_of(job.service)), default=0)
    return job if highest <= job.last_number else job.model_copy(update={"last_number": highest})


def _deployed(view: ClusterView, versioned: Versioned[Service], job: Job) -> tuple[Job, JobRun | None]:
    service = versioned.value
    if job.deployed == service.revision:
        return job, None
    nodes = hosts(view, service)
    if nodes is None:
        return job, None
    job = last_number(view.state, job).model_copy(update={"deployed": service.revision})
    # Of a job that was removed, numbers come again. Its runs and tasks may still be known somewhere: no id does.
    basis = f"{versioned.revision}\n{service.revision}\n{job.last_number + 1}"
    return new_run(service, job, Cause.DEPLOY, basis, view.now, nodes)


def _scheduled(view: ClusterView, service: Service, job: Job, runs: Iterable[RunPlan]) -> tuple[Job, JobRun | None]:
    policy = service.spec.job
    assert policy is not None
    schedule = schedule_of(policy.schedule, policy.time_zone)
    timetable = f"{policy.schedule} {policy.time_zone}"
    if job.timetable != timetable:
        job = last_number(view.state, job).model_copy(update={"timetable": timetable, "decided_until": view.now})
    due = schedule.between(job.decided_until, view.now)
    upcoming = schedule.next_after(max(job.decided_until, view.now))
    if upcoming is not None:
        view.wake_after(upcoming)
    if not due:
        return job, None
    latest = (schedule.between(view.now - LATE_S, view.now) or due)[-1]
    job = job.model_copy(update={"decided_until": latest})
    missed = due[:-1] if latest == due[-1] else due
    too_late = view.now - latest > LATE_S
    if missed or too_late:
        count = len(missed) + too_late
        last = latest if too_late else missed[-1]
        job = job.model_copy(update={"missed": job.missed + count, "missed_last": last})
    if too_late:
        return job, None
    nodes = hosts(view, service)
    if nodes is None or _is_in_the_way(policy.concurrency, runs):
        return job.model_copy(update={"skipped": job.skipped + 1, "skipped_last": latest}), None
    started, run = new_run(service, job, Cause.SCHEDULE, f"{latest:.3f}", view.now, nodes, latest)
    return (job, None) if run.id in view.state.job_runs else (started, run)


def _is_in_the_way(concurrency: Concurrency, runs: Iterable[RunPlan]) -> bool:
    busy = sum(plan.busy for plan in runs)
    match concurrency:
        case Concurrency.FORBID:
            return busy > 0
        case Concurrency.ALLOW | Concurrency.REPLACE:
            return busy >= RUNS_AT_ONCE_MAX


def hosts(view: ClusterView, service: Service) -> tuple[NodeId, ...] | None:
    """Of a global job: who is to do it; None while there is nobody. Of any other it need not be said."""
    if service.spec.mode is not Mode.GLOBAL:
        return ()
    return tuple(record.node.id for record in view.hosts_of(service) if record.is_alive) or None
