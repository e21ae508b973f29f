"""The store's objects, typed: what controllers, nodes and the API read instead of keys and bytes.

`ClusterState` is derived from the store and nothing else; a peer keeps one up to date by feeding it every
change. It is mutable for that reason and handed out for reading only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Generic, TypeVar

from swarmlet.model.autoscale import AUTOSCALING, Autoscaling
from swarmlet.model.frozen import Frozen, decode
from swarmlet.model.ids import NodeId, ServiceId, StackName, TaskId
from swarmlet.model.job import JOB_RUNS, JOBS, Job, JobRun, RunId
from swarmlet.model.objects import NODES, SERVICES, STACKS, TASKS, VOTERS, Node, Service, Stack, Task, VoterList
from swarmlet.model.revisions import HISTORY, ROLLOUTS, Revision, Rollout

T = TypeVar("T", bound=Frozen)
Outer = TypeVar("Outer", bound=str)
Inner = TypeVar("Inner", bound=str)
Indexed = TypeVar("Indexed")


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T]):
    value: T
    revision: int
    """Store revision of the last modification: what a `Compare` for it must say."""


@dataclass(slots=True)
class ClusterState:
    revision: int = 0
    stacks: dict[StackName, Versioned[Stack]] = field(default_factory=dict)
    services: dict[ServiceId, Versioned[Service]] = field(default_factory=dict)
    tasks: dict[TaskId, Versioned[Task]] = field(default_factory=dict)
    nodes: dict[NodeId, Versioned[Node]] = field(default_factory=dict)
    voter_list: Versioned[VoterList] | None = None
    rollouts: dict[ServiceId, Versioned[Rollout]] = field(default_factory=dict)
    history: dict[ServiceId, dict[int, Versioned[Revision]]] = field(default_factory=dict)
    """By number; of services that have none there is no entry."""
    autoscaling: dict[ServiceId, Versioned[Autoscaling]] = field(default_factory=dict)
    jobs: dict[ServiceId, Versioned[Job]] = field(default_factory=dict)
    job_runs: dict[RunId, Versioned[JobRun]] = field(default_factory=dict)
    _by_node: dict[NodeId, dict[TaskId, Task]] = field(default_factory=dict)
    """The tasks again, for each node that has any: every node asks for its own at every change."""
    _runs_by_service: dict[ServiceId, dict[RunId, Versioned[JobRun]]] = field(default_factory=dict)
    """The runs again, for each job that has any: a history holds many, and every look asks for each job's own."""

    def put(self, key: str, value: bytes, revision: int) -> bool:
        """Take over one written object. Keys of unknown kinds are left alone: a newer agent may have written them.

        Returns whether it is of a known kind, so that this state is another one now.
        """
        prefix, _, name = key.partition("/")
        match prefix + "/":
            case p if p == STACKS:
                self.stacks[StackName(name)] = Versioned(decode(Stack, value), revision)
            case p if p == SERVICES:
                self.services[ServiceId(name)] = Versioned(decode(Service, value), revision)
            case p if p == TASKS:
                self._put_task(TaskId(name), Versioned(decode(Task, value), revision))
            case p if p == NODES:
                self.nodes[NodeId(name)] = Versioned(decode(Node, value), revision)
            case p if p == VOTERS:
                self.voter_list = Versioned(decode(VoterList, value), revision)
            case p if p == ROLLOUTS:
                self.rollouts[ServiceId(name)] = Versioned(decode(Rollout, value), revision)
            case p if p == HISTORY:
                found = decode(Revision, value)
                self.history.setdefault(found.service, {})[found.number] = Versioned(found, revision)
            case p if p == AUTOSCALING:
                self.autoscaling[ServiceId(name)] = Versioned(decode(Autoscaling, value), revision)
            case p if p == JOBS:
                self.jobs[ServiceId(name)] = Versioned(decode(Job, value), revision)
            case p if p == JOB_RUNS:
                self._put_run(RunId(name), Versioned(decode(JobRun, value), revision))
            case _:
                self.revision = max(self.revision, revision)
                return False
        self.revision = max(self.revision, revision)
        return True

    def delete(self, key: str, revision: int) -> bool:
        """Returns whether it is of a known kind."""
        prefix, _, name = key.partition("/")
        match prefix + "/":
            case p if p == STACKS:
                self.stacks.pop(StackName(name), None)
            case p if p == SERVICES:
                self.services.pop(ServiceId(name), None)
            case p if p == TASKS:
                self._forget_task(TaskId(name))
            case p if p == NODES:
                self.nodes.pop(NodeId(name), None)
            case p if p == VOTERS:
                self.voter_list = None
            case p if p == ROLLOUTS:
                self.rollouts.pop(ServiceId(name), None)
            case p if p == HISTORY:
                self._forget_revision(name)
            case p if p == AUTOSCALING:
                self.autoscaling.pop(ServiceId(name), None)
            case p if p == JOBS:
                self.jobs.pop(ServiceId(name), None)
            case p if p == JOB_RUNS:
                self._forget_run(RunId(name))
            case _:
                self.revision = max(self.revision, revision)
                return False
        self.revision = max(self.revision, revision)
        return True

    def _put_task(self, id_: TaskId, task: Versioned[Task]) -> None:
        former = self.tasks.get(id_)
        if former is not None and former.value.node != task.value.node:
            self._forget_task(id_)
        self.tasks[id_] = task
        self._by_node.setdefault(task.value.node, {})[id_] = task.value

    def _forget_task(self, id_: TaskId) -> None:
        former = self.tasks.pop(id_, None)
        if former is not None:
            _take_out(self._by_node, former.value.node, id_)

    def _put_run(self, id_: RunId, run: Versioned[JobRun]) -> None:
        former = self.job_runs.get(id_)
        if former is not None and former.value.service != run.value.service:
            self._forget_run(id_)
        self.job_runs[id_] = run
        self._runs_by_service.setdefault(run.value.service, {})[id_] = run

    def _forget_run(self, id_: RunId) -> None:
        former = self.job_runs.pop(id_, None)
        if former is not None:
            _take_out(self._runs_by_service, former.value.service, id_)

    def _forget_revision(self, name: str) -> None:
        service, _, number = name.rpartition("/")
        revisions = self.history.get(ServiceId(service), {})
        if number.isdecimal():
            revisions.pop(int(number), None)
        if not revisions:
            self.history.pop(ServiceId(service), None)

    @classmethod
    def of(cls, objects: Iterable[tuple[str, bytes, int]], revision: int) -> "ClusterState":
        """A state from all of a store's (key, value, modification revision)."""
        state = cls()
        for key, value, modified in objects:
            state.put(key, value, modified)
        state.revision = revision
        return state

    def copy(self) -> "ClusterState":
        """One that may be changed; the objects themselves are shared, since nobody changes them."""
        other = ClusterState()
        for each in fields(self):
            setattr(other, each.name, _copied(getattr(self, each.name)))
        return other

    def tasks_on(self, node: NodeId) -> list[Task]:
        return list(self._by_node.get(node, {}).values())

    def tasks_of(self, service: ServiceId) -> list[Versioned[Task]]:
        return [task for task in self.tasks.values() if task.value.service == service]

    def runs_of(self, service: ServiceId) -> list[Versioned[JobRun]]:
        """The oldest first."""
        found = self._runs_by_service.get(service, {})
        return sorted(found.values(), key=lambda run: (run.value.number, run.value.id))


def _take_out(index: dict[Outer, dict[Inner, Indexed]], outer: Outer, inner: Inner) -> None:
    """Whoever has none left has no entry."""
    del index[outer][inner]
    if not index[outer]:
        del index[outer]


def _copied(value: object) -> object:
    """Mappings at any depth are copied, all else is kept."""
    return {key: _copied(below) for key, below in value.items()} if isinstance(value, dict) else value
