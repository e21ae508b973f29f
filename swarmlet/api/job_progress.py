"""How far a job is as a part of its stack: what a deploy waits for. Pure."""

from dataclasses import dataclass

from swarmlet.api.schema import ServiceState
from swarmlet.controllers.job_deployment import deployed_run
from swarmlet.model.job import RunState
from swarmlet.model.objects import Service
from swarmlet.model.state import ClusterState


@dataclass(frozen=True, slots=True)
class JobProgress:
    wanted: int
    ready: int
    state: ServiceState | None
    """None while its run goes on: its tasks tell how well."""
    problem: str = ""


def job_progress(state: ClusterState, service: Service) -> JobProgress:
    """One with a schedule is as declared at once; any other when its run has succeeded (see `job_deployment`)."""
    policy = service.spec.job
    assert policy is not None, f"{service.id} is no job"
    if policy.schedule:
        return JobProgress(0, 0, ServiceState.CONVERGED)
    run = deployed_run(state, service)
    if run is None:
        return JobProgress(policy.completions, 0, None)
    match run.state:
        case RunState.SUCCEEDED:
            return JobProgress(run.completions, run.succeeded, ServiceState.CONVERGED)
        case RunState.FAILED | RunState.CANCELLED:
            why = f"run {run.number} {'has' if run.state is RunState.FAILED else 'was'} {run.state}: {run.reason}"
            return JobProgress(run.completions, run.succeeded, ServiceState.STUCK, why)
        case RunState.PENDING | RunState.RUNNING:
            return JobProgress(run.completions, run.succeeded, None)
