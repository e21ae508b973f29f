"""People's wishes about jobs as transactions: run one now, cancel a run. What can't be is refused here.

Rules: a run that is asked for has an id derived from the request's own token, so a request that is sent again finds the
run that it began. A cancelled run is over at once; the leader then stops what of it still runs. A deploy runs a job
again that failed at the last one, even if nothing else has changed.
"""

from collections.abc import Iterable, Iterator, Sequence

from swarmlet.controllers.job_begin import RUNS_AT_ONCE_MAX, derived_run_id, last_number, new_run
from swarmlet.controllers.job_deployment import deployed_run
from swarmlet.controllers.job_errors import NobodyToRun, RunInTheWay, RunIsOver, TooManyRuns, UnknownJob, UnknownRun
from swarmlet.controllers.steps import Step
from swarmlet.model.ids import NodeId, RevisionHash, ServiceId
from swarmlet.model.job import Cause, Concurrency, Job, RunId, RunState
from swarmlet.model.objects import Service
from swarmlet.model.spec import Mode
from swarmlet.model.state import ClusterState, Versioned
from swarmlet.model.transaction import Compare, Transaction, put

NOT_YET = RevisionHash("")


def run_id(service: ServiceId, token: str) -> RunId:
    return derived_run_id(service, Cause.REQUEST, token)


def run_now(state: ClusterState, service: ServiceId, token: str, hosts: Sequence[NodeId], now: float) -> Transaction:
    """Begin a run. `hosts`: where a global job is to be done. Raises a subclass of `JobRefused`."""
    declared = job_service(state, service)
    policy = declared.value.spec.job
    assert policy is not None
    if run_id(service, token) in state.job_runs:
        return Transaction((), (), reason=f"{service}: begun already")
    active = [run.value for run in state.runs_of(service) if run.value.state.is_active]
    if active and policy.concurrency is Concurrency.FORBID:
        raise RunInTheWay(service, active[-1].id)
    if len(active) >= RUNS_AT_ONCE_MAX:
        raise TooManyRuns(service, RUNS_AT_ONCE_MAX)
    nodes = tuple(hosts) if declared.value.spec.mode is Mode.GLOBAL else ()
    if declared.value.spec.mode is Mode.GLOBAL and not nodes:
        raise NobodyToRun(service)
    stored = state.jobs.get(service)
    before = last_number(state, stored.value if stored else Job(service=service))
    job, run = new_run(declared.value, before, Cause.REQUEST, token, now, nodes)
    compares = (
        Compare(declared.value.key, declared.revision),
        Compare(job.key, stored.revision if stored else 0),
        Compare(run.key, 0),
    )
    return Transaction(
        compares, (put(job.key, job), put(run.key, run)), reason=f"{service} run {run.number}: asked for"
    )


def cancel(state: ClusterState, run: RunId, now: float) -> Transaction:
    """Raises a subclass of `JobRefused`."""
    stored = state.job_runs.get(run)
    if stored is None:
        raise UnknownRun(run)
    if not stored.value.state.is_active:
        raise RunIsOver(run, stored.value.state)
    over = stored.value.model_copy(
        update={"state": RunState.CANCELLED, "ended_at": now, "reason": "cancelled on request"}
    )
    reason = f"{over.service} run {over.number}: cancelled on request"
    return Transaction((Compare(over.key, stored.revision),), (put(over.key, over),), reason=reason)


def job_service(state: ClusterState, service: ServiceId) -> Versioned[Service]:
    """Raises `UnknownJob`."""
    found = state.services.get(service)
    if found is None or found.value.spec.job is None:
        known = sorted(id_ for id_, each in state.services.items() if each.value.spec.job is not None)
        raise UnknownJob(service, known)
    return found


def again(state: ClusterState, services: Iterable[Service]) -> Iterator[Step]:
    """Jobs whose run for the present revision did not succeed, and that a deploy leaves as they are, run again."""
    for service in services:
        run = deployed_run(state, service) if service.spec.job is not None else None
        if run is not None and run.state in (RunState.FAILED, RunState.CANCELLED):
            stored = state.jobs[service.id]
            due = stored.value.model_copy(update={"deployed": NOT_YET})
            yield Step((Compare(due.key, stored.revision),), (put(due.key, due),))
