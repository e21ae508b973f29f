"""Answers, derived from agreed state and observed state at one moment. Pure."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from swarmlet.api.job_progress import job_progress
from swarmlet.api.rollout_views import rollout_view
from swarmlet.api.schema import (
    DrainView,
    NodeView,
    PortView,
    RaftRole,
    ServiceState,
    ServiceView,
    StackView,
    TaintView,
    TaskView,
)
from swarmlet.controllers.belonging import Belonging
from swarmlet.controllers.hosts import global_hosts
from swarmlet.controllers.node_errors import UnknownNode
from swarmlet.controllers.node_views import node_view
from swarmlet.model.ids import NodeId, ServiceId, StackName
from swarmlet.model.objects import Desired, Drain, NodeStatus, Service, Task
from swarmlet.model.observed import Liveness, ObservedState, Phase, ServiceProblem, TaskStatus
from swarmlet.model.revisions import RolloutState
from swarmlet.model.spec import Mode
from swarmlet.model.state import ClusterState

HOPELESS_RESTARTS = 3
"""So many restarts without getting ready, and a task counts as stuck (it is still tried again)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything that a view is derived from."""

    state: ClusterState
    observed: ObservedState
    roles: Mapping[NodeId, RaftRole]
    leader: NodeId | None
    now: float

    def is_member(self, node: NodeId) -> bool:
        """Not so one that was forgotten by the cluster, or never belonged to it, and is gone."""
        return node in self.state.nodes or self.observed.liveness(node) in (Liveness.ALIVE, Liveness.SUSPECT)

    @property
    def voters(self) -> frozenset[NodeId]:
        return frozenset(node for node, role in self.roles.items() if role in (RaftRole.LEADER, RaftRole.VOTER))

    def node_name(self, node: NodeId) -> str:
        if (observed := self.observed.nodes.get(node)) is not None:
            return observed.name
        agreed = self.state.nodes.get(node)
        return agreed.value.name if agreed else node

    def status(self, task: Task) -> TaskStatus | None:
        return self.observed.status(task.node, task.id)

    def problem(self, service: ServiceId) -> ServiceProblem | None:
        """As the present leader says it; what a former one said no longer counts."""
        node = self.observed.nodes.get(self.leader) if self.leader else None
        return node.problems.get(service) if node else None


def node_views(moment: Moment) -> list[NodeView]:
    tasks: dict[NodeId, int] = defaultdict(int)
    for task in moment.state.tasks.values():
        if task.value.desired is Desired.RUN:
            tasks[task.value.node] += 1
    ids = {*filter(moment.is_member, moment.observed.nodes), *moment.state.nodes}
    return sorted((_node(moment, node, tasks[node]) for node in ids), key=lambda view: (view.name, view.id))


def nodes_called(moment: Moment, wanted: str) -> list[NodeView]:
    """By id or name, which several may share. Raises `UnknownNode`."""
    known = node_views(moment)
    found = [view for view in known if wanted in (view.id, view.name)]
    if not found:
        raise UnknownNode(wanted, sorted({view.name for view in known}))
    return found


def _node(moment: Moment, node: NodeId, tasks: int) -> NodeView:
    observed, agreed = moment.observed.nodes.get(node), moment.state.nodes.get(node)
    facts = observed.facts if observed else None
    taints = agreed.value.taints if agreed else ()
    return NodeView(
        id=node,
        name=moment.node_name(node),
        address=str(observed.address) if observed else "",
        liveness=observed.liveness if observed else Liveness.DEAD,
        status=agreed.value.status if agreed else "",
        role=moment.roles.get(node, RaftRole.NONE),
        version=facts.version if facts else "",
        runtime=facts.runtime if facts else "",
        architecture=facts.architecture if facts else "",
        cpus=facts.cpus if facts else 0.0,
        memory_bytes=facts.memory_bytes if facts else 0,
        devices=facts.devices if facts else {},
        labels={**(facts.labels if facts else {}), **(agreed.value.labels if agreed else {})},
        tasks=tasks,
        cordoned=agreed.value.cordoned if agreed else False,
        taints=[TaintView(key=each.key, value=each.value, effect=each.effect.value) for each in taints],
        drain=_drain(moment, node, agreed.value.drain) if agreed and agreed.value.drain else None,
    )


def _drain(moment: Moment, node: NodeId, drain: Drain) -> DrainView:
    left: dict[str, int] = defaultdict(int)
    for task in moment.state.tasks_on(node):
        status = moment.status(task)
        ended = status is not None and status.phase in (Phase.STOPPED, Phase.EXITED)
        if task.desired is Desired.RUN or not (ended or _is_gone(moment, node)):
            left[task.service] += 1
    problems = {service: moment.problem(ServiceId(service)) for service in left}
    waits_for = {service: problem.message for service, problem in problems.items() if problem is not None}
    return DrainView(since=drain.since, deadline=drain.deadline, left=dict(sorted(left.items())), waits_for=waits_for)


def _is_gone(moment: Moment, node: NodeId) -> bool:
    return moment.state.nodes[node].value.status is not NodeStatus.UP


def task_view(moment: Moment, task: Task) -> TaskView:
    status = moment.status(task)
    usage = moment.observed.usage_of(task.node, task.id)
    alive = moment.observed.liveness(task.node) in (Liveness.ALIVE, Liveness.SUSPECT)
    phase = (status.phase if status else Phase.PENDING) if alive else "unknown"
    return TaskView(
        id=task.id,
        service=task.service,
        slot=task.slot,
        node=moment.node_name(task.node),
        node_id=task.node,
        image=task.template.image,
        revision=task.revision,
        desired=task.desired,
        phase=phase,
        health=status.health if status and alive else "unknown",
        ready=_ready(moment, task),
        message=(status.message if status else "") or task.stop_reason,
        restarts=status.restarts if status else 0,
        parked=status.parked if status else False,
        exit_code=status.exit_code if status else None,
        created_at=task.created_at,
        changed_at=status.changed_at if status else 0.0,
        cpus_used=usage.cpu_milli / 1000 if usage else None,
        memory_used_bytes=usage.memory_bytes if usage else None,
        devices={kind: list(ids) for kind, ids in task.devices.items()},
    )


def task_views(moment: Moment, tasks: Iterable[Task]) -> list[TaskView]:
    views = [task_view(moment, task) for task in tasks]
    return sorted(views, key=lambda view: (view.service, view.slot, view.created_at, view.id))


def service_views(moment: Moment) -> list[ServiceView]:
    tasks: dict[ServiceId, list[Task]] = defaultdict(list)
    for task in moment.state.tasks.values():
        tasks[task.value.service].append(task.value)
    services = (found.value for found in moment.state.services.values())
    return sorted((service_view(moment, service, tasks[service.id]) for service in services), key=lambda view: view.id)


def service_view(moment: Moment, service: Service, tasks: list[Task]) -> ServiceView:
    running = [task for task in tasks if task.desired is Desired.RUN]
    current = [task for task in running if task.revision == service.revision]
    job = job_progress(moment.state, service) if service.spec.job else None
    wanted = job.wanted if job else _wanted(moment, service, running)
    fulfilled = [task for task in current if _ready(moment, task) or _ended_as_declared(moment, task)]
    ready = job.ready if job else len(fulfilled)
    outdated = len(running) - len(current)
    placement = moment.problem(service.id)
    trouble = placement.message if placement else _trouble(moment, current)
    rollout = None if job else rollout_view(moment.state, service)
    is_done = rollout is None or rollout.state == RolloutState.DONE
    if job and job.state:
        state, trouble = job.state, job.problem
    elif not job and len(fulfilled) == wanted == len(current) and not outdated and is_done:
        state, trouble = ServiceState.CONVERGED, ""
    else:
        state = ServiceState.STUCK if trouble and _hopeless(moment, current, placement) else ServiceState.PROGRESSING
    template = service.spec.template
    return ServiceView(
        id=service.id,
        stack=service.stack,
        name=service.spec.name,
        image=template.image,
        mode=f"{service.spec.mode}-job" if job else service.spec.mode,
        wanted=wanted,
        ready=ready,
        outdated=outdated,
        revision=service.revision,
        ports=[
            PortView(published=port.published, target=port.target, host_address=port.host_address)
            for port in template.ports
        ],
        state=state,
        problem=trouble,
        per_node=placement.per_node if placement and trouble else {},
        rollout=rollout,
    )


def stack_view(moment: Moment, name: StackName) -> StackView | None:
    found = moment.state.stacks.get(name)
    if found is None:
        return None
    services = [view for view in service_views(moment) if view.stack == name]
    states = {view.state for view in services}
    state = next(
        (worst for worst in (ServiceState.STUCK, ServiceState.PROGRESSING) if worst in states), ServiceState.CONVERGED
    )
    return StackView(
        name=name,
        revision=found.revision,
        deployed_at=found.value.deployed_at,
        state=state,
        services=services,
    )


def _wanted(moment: Moment, service: Service, running: Iterable[Task]) -> int:
    if service.spec.mode is Mode.REPLICATED:
        return service.spec.replicas
    return len(hosts_of(moment, service, {task.node for task in running}))


def hosts_of(moment: Moment, service: Service, has_task: Container[NodeId] = ()) -> list[NodeId]:
    """Where a global service or job is to have a task. `has_task`: where it has one."""
    up = [node.value for node in moment.state.nodes.values() if node.value.status is NodeStatus.UP]
    views = {node.id: node_view(node, moment.observed.nodes.get(node.id), moment.voters, moment.now) for node in up}
    return [node.id for node in global_hosts(up, service.spec, has_task, Belonging(views))]


def _ready(moment: Moment, task: Task) -> bool:
    status = moment.status(task)
    return status is not None and status.ready and moment.observed.liveness(task.node) is Liveness.ALIVE


def _ended_as_declared(moment: Moment, task: Task) -> bool:
    status = moment.status(task)
    seen = status is not None and status.phase is Phase.EXITED and status.exit_code == 0
    return seen or task.ended_with == 0


def _trouble(moment: Moment, tasks: list[Task]) -> str:
    """What the tasks that aren't ready say, the most frequent word first."""
    said: dict[str, int] = defaultdict(int)
    for task in tasks:
        status = moment.status(task)
        if status and status.message and not status.ready:
            said[status.message] += 1
    return max(said, key=lambda message: said[message]) if said else ""


def _hopeless(moment: Moment, tasks: list[Task], placement: ServiceProblem | None) -> bool:
    if placement and placement.per_node:
        return True
    for task in tasks:
        status = moment.status(task)
        if status is None or status.ready:
            continue
        if status.phase is Phase.EXITED and status.exit_code != 0:
            return True
        if status.restarts >= HOPELESS_RESTARTS:
            return True
        if status.phase in (Phase.PENDING, Phase.PULLING) and status.message:
            return True  # it was refused what it needs (an image, mostly), and is trying again or waits to
    return False
