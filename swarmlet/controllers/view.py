"""One look at the cluster, indexed: each task with what its node says of it and what that means.

Rules: silence is no verdict. A task without a status on a living node is presumed to be starting; the word of
a node that is suspected, or that left a moment ago, is out of date and counts as silence. What has ended for
good (EXITED) stays ended, even when its node is lost.
"""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from swarmlet.controllers.belonging import Belonging
from swarmlet.controllers.hosts import global_hosts, why_it_leaves
from swarmlet.controllers.membership import NodeRecord
from swarmlet.controllers.node_views import node_view
from swarmlet.controllers.outcome import ControllerSettings
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.objects import NODES, Desired, NodeStatus, Service, Task
from swarmlet.model.observed import Liveness, ObservedState, Phase, TaskStatus
from swarmlet.model.spec import Mode
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Compare


class Standing(IntEnum):
    """What a task is worth to its service; the higher, the dearer."""

    LOST = 0
    UNREADY = 1
    """Its node says that it does not (yet) serve."""
    UNKNOWN = 2
    """Its node has not said anything that counts."""
    ENDED = 3
    READY = 4


@dataclass(frozen=True, slots=True)
class TaskView:
    task: Task
    revision: int
    status: TaskStatus | None
    standing: Standing
    node: NodeRecord | None
    leaves: str = ""
    """Why it is to leave its node; empty while it may stay."""

    @property
    def id(self) -> TaskId:
        return self.task.id

    @property
    def runs(self) -> bool:
        """It is meant to run; whether it does is another matter."""
        return self.task.desired is Desired.RUN

    @property
    def compare(self) -> Compare:
        return Compare(self.task.key, self.revision)

    @property
    def node_compare(self) -> Compare:
        return self.node.compare if self.node else Compare(NODES + self.task.node, 0)

    @property
    def on_lost_node(self) -> bool:
        return self.node is None or self.node.gone

    @property
    def phase(self) -> Phase | None:
        return self.status.phase if self.status else None

    @property
    def is_gone(self) -> bool:
        """Nothing of it runs any more, as far as anyone can know."""
        return self.on_lost_node or self.phase is Phase.STOPPED

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    @property
    def exit_code(self) -> int | None:
        """With which it ended for good; None while it has not, or nobody saw how."""
        if self.task.ended_with is not None or self.status is None or self.phase is not Phase.EXITED:
            return self.task.ended_with
        return self.status.exit_code


@dataclass(slots=True)
class ClusterView:
    now: float
    settings: ControllerSettings
    state: ClusterState
    nodes: Mapping[NodeId, NodeRecord]
    tasks: Mapping[ServiceId, list[TaskView]]
    """Sorted by age, the oldest first."""
    voters: Container[NodeId]
    belonging: Belonging
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
    ) -> "ClusterView":
        belonging = Belonging({id_: node_view(each.node, each.observed, voters, now) for id_, each in nodes.items()})
        tasks: dict[ServiceId, list[TaskView]] = defaultdict(list)
        for versioned in state.tasks.values():
            task, record = versioned.value, nodes.get(versioned.value.node)
            status = observed.status(task.node, task.id)
            spec = state.services[task.service].value.spec if task.service in state.services else None
            standing, leaves = _standing(task, record, status), why_it_leaves(task, record, spec, belonging)
            tasks[task.service].append(TaskView(task, versioned.revision, status, standing, record, leaves))
        for siblings in tasks.values():
            siblings.sort(key=lambda view: (view.task.created_at, view.id))
        view = cls(now, settings, state, nodes, dict(tasks), voters, belonging, node_names=_names(nodes))
        view.unfinished_drains = frozenset(view._unfinished_drains())
        for record in nodes.values():
            if record.node.drain is not None and record.node.drain.deadline is not None:
                view.wake_after(record.node.drain.deadline)
            if record.node.status is NodeStatus.LEFT:
                view.wake_after(record.node.status_since + settings.left_grace_s)
        return view

    def _unfinished_drains(self) -> Iterator[NodeId]:
        for service, tasks in self.tasks.items():
            stored = self.state.services.get(service)
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


def _standing(task: Task, node: NodeRecord | None, status: TaskStatus | None) -> Standing:
    if task.ended_with is not None or (status is not None and status.phase is Phase.EXITED):
        return Standing.ENDED
    if node is None or node.gone:
        return Standing.LOST
    if status is None or not node.is_alive:
        return Standing.UNKNOWN
    return Standing.READY if status.ready else Standing.UNREADY


def _names(nodes: Mapping[NodeId, NodeRecord]) -> dict[NodeId, str]:
    ids: dict[str, list[NodeId]] = defaultdict(list)
    for record in nodes.values():
        ids[record.node.name].append(record.node.id)
    return {node: name if len(same) == 1 else node for name, same in ids.items() for node in same}
