"""A plan as it is told: what was foreseen, and what differs between the services now and then. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from swarmlet.api.job_progress import job_progress
from swarmlet.api.plan_schema import FieldChangeView, ImagePlanView, PlanView, ServicePlanView, TaskPlanView
from swarmlet.api.views import Moment
from swarmlet.controllers.foresight import Foresight
from swarmlet.controllers.seats import SeatKey, seat_key
from swarmlet.controllers.service_changes import ServiceChange, service_changes
from swarmlet.controllers.stacks import services_of
from swarmlet.model.container import PullPolicy
from swarmlet.model.ids import NodeId, ServiceId, StackName, TaskId
from swarmlet.model.objects import Desired, Service, Task
from swarmlet.model.observed import Phase
from swarmlet.model.spec import Mode
from swarmlet.model.state import ClusterState

HAS_ITS_IMAGE = frozenset(Phase) - {Phase.PENDING, Phase.PULLING}


def plan_view(
    moment: Moment,
    stack: StackName,
    seen: Foresight,
    anyway: Foresight | None,
    *,
    changes: bool,
    warnings: list[str],
    unbuilt: Collection[str],
) -> PlanView:
    """`anyway`: what would happen without the deploy; it is asked for where tasks of other stacks move."""
    changed = service_changes(services_of(seen.before, stack), services_of(seen.after, stack))
    own = {each.service for each in changed}
    tasks = _tasks(moment, seen, own)
    return PlanView(
        stack=stack,
        revision=moment.state.revision,
        changes=changes,
        settled=seen.settled,
        services=[_service(seen, each) for each in changed],
        tasks=tasks,
        elsewhere=_elsewhere(moment, seen, anyway, own),
        images=_images(moment, [each for each in seen.staying.values() if each.service in own], unbuilt),
        warnings=warnings,
    )


def moves_others(seen: Foresight, stack: StackName) -> bool:
    own = {*services_of(seen.before, stack), *services_of(seen.after, stack)}
    return any(task.service not in own for task in (*seen.created.values(), *seen.stopped.values()))


def _service(seen: Foresight, change: ServiceChange) -> ServicePlanView:
    shown = change.after or change.before
    assert shown is not None, "a change is about a service that was or will be"
    problem = seen.problems.get(change.service)
    before, _ = _standing(seen.before, change.before)
    after, wanted = _standing(seen.after, change.after)
    return ServicePlanView(
        id=change.service,
        name=shown.spec.name,
        action=change.action,
        image=shown.spec.template.image,
        mode=shown.spec.mode,
        tasks_before=before,
        tasks_after=after,
        wanted=wanted,
        replaces_tasks=change.replaces_tasks,
        fields=[FieldChangeView(key=each.key, before=each.before, after=each.after) for each in change.fields],
        problem=problem.message if problem else "",
        per_node=dict(problem.per_node) if problem else {},
    )


def _standing(state: ClusterState, service: Service | None) -> tuple[int, int]:
    """How many tasks it has, or completions that its latest run has reached, and how many are wanted."""
    if service is None:
        return 0, 0
    if service.spec.job is not None:
        progress = job_progress(state, service)
        return progress.ready, progress.wanted
    running = len(_running(state, service.id))
    return running, running if service.spec.mode is Mode.GLOBAL else service.spec.replicas


def _running(state: ClusterState, service: ServiceId) -> list[Task]:
    return [each.value for each in state.tasks_of(service) if each.value.desired is Desired.RUN]


def _tasks(moment: Moment, seen: Foresight, own: Collection[ServiceId]) -> list[TaskPlanView]:
    """Every task that stops, and every one that starts and stays; a new one beside the one that it replaces."""
    stopped = [each for each in seen.stopped.values() if each.service in own]
    leaving = {(each.service, _seat(seen, each)): each for each in stopped}
    views: list[TaskPlanView] = []
    paired: set[TaskId] = set()
    for task in seen.staying.values():
        if task.service in own:
            former = leaving.get((task.service, _seat(seen, task)))
            paired |= {former.id} if former else set()
            views.append(_starting(moment, task, former))
    views += [_stopping(moment, task) for task in stopped if task.id not in paired]
    return sorted(views, key=lambda view: (view.service, view.slot, view.node, view.action))


def _seat(seen: Foresight, task: Task) -> SeatKey:
    service: Service | None = next(
        (state.services[task.service].value for state in (seen.after, seen.before) if task.service in state.services),
        None,
    )
    return seat_key(task, service.spec.mode if service else Mode.REPLICATED)


def _starting(moment: Moment, task: Task, former: Task | None) -> TaskPlanView:
    return TaskPlanView(
        service=task.service,
        slot=task.slot,
        node=moment.node_name(task.node),
        action="replace" if former else "create",
        image=task.template.image,
        replaces=former.id if former else "",
        reason=former.stop_reason if former else "",
    )


def _stopping(moment: Moment, task: Task) -> TaskPlanView:
    return TaskPlanView(
        service=task.service,
        slot=task.slot,
        node=moment.node_name(task.node),
        action="stop",
        image=task.template.image,
        task=task.id,
        reason=task.stop_reason,
    )


def _elsewhere(
    moment: Moment, seen: Foresight, anyway: Foresight | None, own: Collection[ServiceId]
) -> list[TaskPlanView]:
    """What moves of other stacks, less what would have moved without the deploy, too."""
    usual = anyway.created.keys() | anyway.stopped.keys() if anyway else frozenset[TaskId]()
    stopping = [task for id_, task in seen.stopped.items() if task.service not in own and id_ not in usual]
    starting = [task for id_, task in seen.staying.items() if task.service not in own and id_ not in usual]
    return [_stopping(moment, task) for task in stopping] + [_starting(moment, task, None) for task in starting]


def _images(moment: Moment, tasks: Iterable[Task], unbuilt: Collection[str]) -> list[ImagePlanView]:
    known = _known_images(moment)
    wanted: dict[tuple[str, PullPolicy], set[NodeId]] = defaultdict(set)
    for task in tasks:
        image, policy = task.template.image, task.template.pull_policy
        if policy is PullPolicy.ALWAYS or image not in known.get(task.node, ()):
            wanted[image, policy].add(task.node)
    return [
        ImagePlanView(
            image=image,
            nodes=sorted(moment.node_name(node) for node in nodes),
            pull_policy=policy,
            unbuilt=image in unbuilt,
        )
        for (image, policy), nodes in sorted(wanted.items())
    ]


def _known_images(moment: Moment) -> Mapping[NodeId, set[str]]:
    """A node that runs, or ran, a task of an image had it then."""
    known: dict[NodeId, set[str]] = defaultdict(set)
    for versioned in moment.state.tasks.values():
        status = moment.status(versioned.value)
        if status is not None and status.phase in HAS_ITS_IMAGE:
            known[versioned.value.node].add(versioned.value.template.image)
    return known
