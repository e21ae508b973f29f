"""A stack as a deploy stores it: what its services mean to each other is written into them, for their revisions come
of it.

Rules:
- An init service runs once before each new revision of a service that waits for its end: its template is bound to the
  revisions of its dependents, so that a new one of theirs is a new one of it. It is never rolled out beside itself.
- A service with `restart: true` is bound to its dependency in the same way, in the other direction.
- What is bound to is the revision of the declared template, without what it is bound to itself: no chain, no circle.

Decision record 0058.
"""

from collections.abc import Mapping

from swarmlet.model import pods
from swarmlet.model.ids import RevisionHash
from swarmlet.model.rollout import FailureAction, Order, RolloutPolicy, UpdatePolicy
from swarmlet.model.spec import DependencyCondition, ServiceSpec, StackSpec, TaskTemplate


def as_stored(spec: StackSpec) -> StackSpec:
    """Of a stack whose dependencies and pods are checked already."""
    return pods.ordered(_bound_together(spec))


def own_revision(template: TaskTemplate) -> RevisionHash:
    """Of what was declared, whatever it is bound to."""
    return template.model_copy(update={"bound_to": {}}).revision()


def awaited_by(service: ServiceSpec) -> list[str]:
    """The services whose end it waits for."""
    return [name for name, condition in service.depends_on.items() if condition is DependencyCondition.COMPLETED]


def _bound_together(spec: StackSpec) -> StackSpec:
    own = {name: own_revision(service.template) for name, service in spec.services.items()}
    bonds: dict[str, dict[str, RevisionHash]] = {name: {} for name in spec.services}
    awaited: set[str] = set()
    for name, service in spec.services.items():
        for dependency in awaited_by(service):
            bonds[dependency][name] = own[name]
            awaited.add(dependency)
        for dependency in service.restarts_with:
            bonds[name][dependency] = own[dependency]
    services = {
        name: _bound(service, bonds[name], name in awaited) if bonds[name] else service
        for name, service in spec.services.items()
    }
    return spec.model_copy(update={"services": services})


def _bound(service: ServiceSpec, bonds: Mapping[str, RevisionHash], is_init: bool) -> ServiceSpec:
    update: dict[str, object] = {"template": service.template.model_copy(update={"bound_to": dict(bonds)})}
    if is_init:
        policy = UpdatePolicy(order=Order.STOP_FIRST, failure_action=FailureAction.CONTINUE, parallelism=0)
        update["rollout"] = RolloutPolicy(update=policy)
    return service.model_copy(update=update)
