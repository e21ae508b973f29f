"""Start order: the tasks of a service wait for the services that it depends on.

Rules:
- The first start waits. A service that has had a task since it was deployed is not held up again, so a dependency that
  fails later costs nothing more than itself.
- Each new revision waits again for what runs before it (an init service, see `prerequisites`) or is updated with it
  (`restart: true`), until a task of that revision has been made. It does not wait where that run was meant for
  another revision: the service was rolled back, and what ran for a later one has run.
- Where an init service ended badly, waiting is in vain. A dependency that is not required is not waited for when it
  fails.
"""

from dataclasses import dataclass

from swarmlet.controllers.fates import SERVICE_REMOVED
from swarmlet.controllers.job_deployment import deployed_run
from swarmlet.controllers.seats import seat_key
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.bonds import own_revision
from swarmlet.model.ids import service_id
from swarmlet.model.job import JobPolicy, RunState
from swarmlet.model.objects import Service
from swarmlet.model.observed import Health, Phase
from swarmlet.model.spec import DependencyCondition, Mode

_WORDS = {
    DependencyCondition.STARTED: "started",
    DependencyCondition.HEALTHY: "ready",
    DependencyCondition.COMPLETED: "ended with status 0",
}


@dataclass(frozen=True, slots=True)
class Wait:
    """What a service's next tasks wait for, in words."""

    text: str
    in_vain: bool = False
    """Nothing will come of it unless somebody acts."""


def waits_for(view: ClusterView, service: Service) -> Wait | None:
    if not service.spec.depends_on:
        return None
    tasks = [each for each in view.tasks_of(service.id) if each.task.stop_reason != SERVICE_REMOVED]
    if _has_begun(view, service, tasks):
        return None
    waits = []
    for name in sorted(service.spec.depends_on):
        wait = _wait(view, service, name, is_first=not tasks)
        if wait is not None:
            waits.append(wait)
    if not waits:
        return None
    return Wait("waits for " + " and ".join(wait.text for wait in waits), any(wait.in_vain for wait in waits))


def _has_begun(view: ClusterView, service: Service, tasks: list[TaskView]) -> bool:
    """Whether it has had a task of its present revision since that one was deployed."""
    stored = view.state.rollouts.get(service.id)
    if stored is None or stored.value.revision != service.revision:
        return False
    since = stored.value.begun_at
    return any(each.task.revision == service.revision and each.task.created_at >= since for each in reversed(tasks))


def _wait(view: ClusterView, service: Service, name: str, is_first: bool) -> Wait | None:
    condition, optional = service.spec.depends_on[name], name in service.spec.optional_dependencies
    found = view.state.services.get(service_id(service.stack, name))
    if found is None:
        return Wait(f"{name}, which does not exist") if is_first and not optional else None
    dependency = found.value
    if not is_first and not _concerns(service, dependency, condition):
        return None
    if dependency.spec.job is not None:
        wait = _wait_for_run(view, dependency, dependency.spec.job, condition)
        return None if optional and wait and wait.in_vain else wait
    tasks = [each for each in view.tasks_of(dependency.id) if each.runs and _counts(each, dependency, service)]
    if optional and any(_fails(each) for each in tasks):
        return None
    if condition is DependencyCondition.COMPLETED:
        ended_badly = next((each for each in tasks if each.standing is Standing.ENDED and not each.succeeded), None)
        if ended_badly is not None:
            status = "an unknown status" if ended_badly.exit_code is None else f"exit status {ended_badly.exit_code}"
            return Wait(f"{name}, which ended with {status}", in_vain=ended_badly.exit_code is not None)
    mode = dependency.spec.mode
    wanted = len(view.hosts_of(dependency)) if mode is Mode.GLOBAL else dependency.spec.replicas
    met = len({seat_key(each.task, mode) for each in tasks if _meets(each, condition)})
    return Wait(f"{name} ({met} of {wanted} tasks {_WORDS[condition]})") if met < wanted else None


def _concerns(service: Service, dependency: Service, condition: DependencyCondition) -> bool:
    """Whether a new revision of a service that runs waits for it."""
    if condition is DependencyCondition.COMPLETED:
        return dependency.spec.template.bound_to.get(service.spec.name) == own_revision(service.spec.template)
    own = service.spec.template.bound_to.get(dependency.spec.name)
    return dependency.spec.name in service.spec.restarts_with and own == own_revision(dependency.spec.template)


def _counts(each: TaskView, dependency: Service, service: Service) -> bool:
    """What is to run before it, or is updated with it, has to be of its present revision."""
    if each.task.revision == dependency.revision:
        return True
    awaited = service.spec.depends_on[dependency.spec.name] is DependencyCondition.COMPLETED
    return not awaited and dependency.spec.name not in service.spec.restarts_with


def _fails(each: TaskView) -> bool:
    if each.standing is Standing.ENDED:
        return not each.succeeded
    unhealthy = each.status is not None and each.status.health is Health.UNHEALTHY
    return unhealthy or each.phase is Phase.BACKOFF


def _wait_for_run(view: ClusterView, job: Service, policy: JobPolicy, condition: DependencyCondition) -> Wait | None:
    """For its run to have started; or succeeded, where more is asked for. Not for a clock."""
    if policy.schedule:
        return None
    run, missing = deployed_run(view.state, job), "succeeded"
    if condition is DependencyCondition.STARTED:
        missing = "started"
        if run is not None and run.started:
            return None
    if run is not None and run.state is RunState.SUCCEEDED:
        return None
    if run is not None and not run.state.is_active:
        return Wait(f"{job.spec.name}, whose run {run.number} {run.state}: {run.reason}", in_vain=True)
    return Wait(f"{job.spec.name} (its run has not {missing})")


def _meets(view: TaskView, condition: DependencyCondition) -> bool:
    if condition is DependencyCondition.COMPLETED:
        return view.standing is Standing.ENDED and view.succeeded
    if condition is DependencyCondition.HEALTHY:
        return view.standing is Standing.READY
    if view.standing is Standing.ENDED:
        return True
    return view.phase is Phase.RUNNING and view.standing in (Standing.READY, Standing.UNREADY)
