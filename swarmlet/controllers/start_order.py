"""Start order: the first tasks of a service wait for the services that it depends on.

Only the first start waits. A service that has had a task since it was deployed is never held up again, so a
dependency that fails later costs nothing more than itself.
"""

from swarmlet.controllers.fates import SERVICE_REMOVED
from swarmlet.controllers.seats import seat_key
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.ids import service_id
from swarmlet.model.objects import Service
from swarmlet.model.observed import Phase
from swarmlet.model.spec import DependencyCondition, Mode


def waits_for(view: ClusterView, service: Service) -> str:
    """What the service's first start waits for, in words; empty if it need not wait."""
    if not service.spec.depends_on or any(_is_of_this_life(each) for each in view.tasks_of(service.id)):
        return ""
    waits = []
    for name, condition in sorted(service.spec.depends_on.items()):
        dependency = view.state.services.get(service_id(service.stack, name))
        if dependency is None:
            waits.append(f"{name}, which does not exist")
            continue
        met, wanted = _progress(view, dependency.value, condition)
        if met < wanted:
            what = "ready" if condition is DependencyCondition.HEALTHY else "started"
            waits.append(f"{name} ({met} of {wanted} tasks {what})")
    return f"waits for {' and '.join(waits)}" if waits else ""


def _is_of_this_life(view: TaskView) -> bool:
    """Tasks left over from before the service was removed and deployed anew do not count."""
    return view.task.stop_reason != SERVICE_REMOVED


def _progress(view: ClusterView, dependency: Service, condition: DependencyCondition) -> tuple[int, int]:
    mode = dependency.spec.mode
    wanted = len(view.hosts_of(dependency)) if mode is Mode.GLOBAL else dependency.spec.replicas
    met = {seat_key(each.task, mode) for each in view.tasks_of(dependency.id) if each.runs and _meets(each, condition)}
    return len(met), wanted


def _meets(view: TaskView, condition: DependencyCondition) -> bool:
    if condition is DependencyCondition.HEALTHY:
        return view.standing is Standing.READY
    if view.standing is Standing.ENDED:
        return True
    return view.phase is Phase.RUNNING and view.standing in (Standing.READY, Standing.UNREADY)
