"""One look at the cluster, indexed: all tasks with what their nodes say of them (see `task_view`), and the nodes."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field

from swarmlet.controllers.belonging import Belonging
from swarmlet.controllers.hosts import global_hosts, why_it_leaves
from swarmlet.controllers.membership import NodeRecord
from swarmlet.controllers.node_views import node_view
from swarmlet.controllers.outcome import ControllerSettings
from swarmlet.controllers.pod_tasks import PodTasks, stand_together
from swarmlet.controllers.task_view import Standing, TaskView, standing_of
from swarmlet.model.exclusive import NO_LEASES, Leases
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.job import RunId
from swarmlet.model.objects import Desired, NodeStatus, Service
from swarmlet.model.observed import Liveness, ObservedState
from swarmlet.model.spec import Mode
from swarmlet.model.state import ClusterState

__all__ = ["ClusterView", "Standing", "TaskView"]


NO_PODS = PodTasks()


@dataclass(slots=True)
class ClusterView:
    now: float
    settings: ControllerSettings
    state: ClusterState
    nodes: Mapping[NodeId, NodeRecord]
    tasks: Mapping[ServiceId, list[TaskView]]
    """Of services; sorted by age, the oldest first."""
    run_tasks: Mapping[RunId, list[TaskView]]
    """Of jobs' runs, likewise."""
    voters: Container[NodeId]
    belonging: Belonging
    pods: PodTasks = NO_PODS
    wake_at: float | None = None
    unfinished_drains: frozenset[NodeId] = frozenset()
    """Draining nodes on which others than global services' tasks still run."""
    node_names: dict[NodeId, str] = field(default_factory=dict)
    """For people: the name where it is the only one of its kind, else the id."""

    @classmethod
    def of(
        cls,
        state: ClusterState,
        observed: ObservedState,
        nodes: Mapping[NodeId, NodeRecord],
        now: float,
        settings: ControllerSettings,
        voters: Container[NodeId] = (),
        leases: Leases = NO_LEASES,
    ) -> "ClusterView":
        belonging = Belonging({id_: node_view(each.node, each.observed, voters, now) for id_, each in nodes.items()})
        tasks: dict[ServiceId, list[TaskView]] = defaultdict(list)
        run_tasks: dict[RunId, list[TaskView]] = defaultdict(list)
        for versioned in state.tasks.values():
            task, record = versioned.value, nodes.get(versioned.value.node)
            status = observed.status(task.node, task.id)
            spec = state.services[task.service].value.spec if task.service in state.services else None
            standing = standing_of(task, record, status)
            # One that has ended does nothing there any more: to do its work again elsewhere would be once too often.
            leaves = "" if standing is Standing.ENDED else why_it_leaves(task, record, spec, belonging)
            siblings = run_tasks[task.run] if task.run else tasks[task.service]
            end = leases.end_of(task.id) if task.template.exclusive else 0.0
            over = task.desired is Desired.STOP and end <= now
            siblings.append(TaskView(task, versioned.revision, status, standing, record, leaves, end, over))
        for siblings in (*tasks.values(), *run_tasks.values()):
            siblings.sort(key=lambda view: (view.task.created_at, view.id))
        view = cls(now, settings, state, nodes, dict(tasks), dict(run_tasks), voters, belonging)
        view.pods, view.node_names = stand_together(state, tasks), _names(nodes)
        view.unfinished_drains = frozenset(view._unfinished_drains())
        for record in nodes.values():
            if record.node.drain is not None and record.node.drain.deadline is not None:
                view.wake_after(record.node.drain.deadline)
            if record.node.status is NodeStatus.LEFT:
                view.wake_after(record.node.status_since + settings.left_grace_s)
        return view

    def _unfinished_drains(self) -> Iterator[NodeId]:
        for tasks in (*self.tasks.values(), *self.run_tasks.values()):
            stored = self.state.services.get(tasks[0].task.service)
            if stored is None or stored.value.spec.mode is not Mode.GLOBAL:
                for each in tasks:
                    over = each.is_gone or each.standing is Standing.ENDED or self.is_dead(each)
                    if each.node is not None and each.node.node.drain is not None and not over:
                        yield each.task.node

    def wake_after(self, moment: float) -> None:
        """Ask to be looked at again when `moment` comes, if it is still ahead."""
        if moment > self.now and (self.wake_at is None or moment < self.wake_at):
            self.wake_at = moment

    def is_dead(self, task: TaskView) -> bool:
        """It was told to stop, and nothing of it runs any more: its node says so, is lost, or does not know it."""
        return not task.runs and (task.is_gone or self._is_unknown_there(task))

    def _is_unknown_there(self, task: TaskView) -> bool:
        """Its node's records have arrived and do not mention it, long after it could have stopped."""
        if task.status is not None or task.node is None or task.node.liveness is not Liveness.ALIVE:
            return False
        if task.task.template.exclusive:
            return False  # its lease tells
        if task.node.observed is None or task.node.observed.facts is None:
            return False
        unknown_at = task.task.stopped_at + self.settings.unknown_after_s
        self.wake_after(unknown_at)
        return self.now >= unknown_at

    def tasks_of(self, service: ServiceId) -> list[TaskView]:
        return self.tasks.get(service, [])

    def name_of(self, node: NodeId) -> str:
        return self.node_names.get(node, node)

    def up_nodes(self) -> list[NodeRecord]:
        return [record for record in self.nodes.values() if record.is_up]

    def hosts_of(self, service: Service) -> list[NodeRecord]:
        """Where a global service is to have a task each."""
        has_task = {each.task.node for each in self.tasks_of(service.id) if each.runs}
        hosts = global_hosts((record.node for record in self.up_nodes()), service.spec, has_task, self.belonging)
        return [self.nodes[node.id] for node in hosts]


def _names(nodes: Mapping[NodeId, NodeRecord]) -> dict[NodeId, str]:
    ids: dict[str, list[NodeId]] = defaultdict(list)
    for record in nodes.values():
        ids[record.node.name].append(record.node.id)
    return {node: name if len(same) == 1 else node for name, same in ids.items() for node in same}
