"""Small builders for controller tests: objects, observations, and a cluster whose nodes obey.

`FakeCluster` keeps the agreed state in a real `Store` and plays the nodes' part: they take up what they are
told and publish statuses, one step at a time, when a test says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from swarmlet.controllers import Outcome, reconcile
from swarmlet.controllers import stacks as stacks_controller
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Address, Health, Liveness, NodeFacts, ObservedNode, ObservedState, Phase, TaskStatus
from swarmlet.model.rollout import RolloutPolicy
from swarmlet.model.spec import (
    DependencyCondition,
    Mode,
    PublishedPort,
    Resources,
    ServiceSpec,
    StackSpec,
    TaskTemplate,
)
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Delete, Put, Transaction
from swarmlet.model.usage import NodeUsage
from swarmlet.store import Store, check_transaction

MIB = 1024 * 1024
START = 1_000_000.0
AS_USUAL = RolloutPolicy()
HAS_A_CONTAINER_THAT_RUNS = (Phase.STARTING, Phase.RUNNING)


def a_template(version: str = "1", memory_mib: int = 0, cpus: float = 0, ports: Iterable[int] = ()) -> TaskTemplate:
    return TaskTemplate(
        image=f"web:{version}",
        reservations=Resources(memory_bytes=memory_mib * MIB, cpus=cpus),
        ports=tuple(PublishedPort(target=80, published=port) for port in ports),
    )


def a_service(
    name: str = "app",
    replicas: int = 1,
    template: TaskTemplate | None = None,
    mode: Mode = Mode.REPLICATED,
    depends_on: dict[str, DependencyCondition] | None = None,
    rollout: RolloutPolicy = AS_USUAL,
) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        template=template or a_template(),
        mode=mode,
        replicas=replicas,
        depends_on=depends_on or {},
        rollout=rollout,
    )


def a_stack(*services: ServiceSpec, name: str = "web") -> StackSpec:
    return StackSpec(name=name, services={service.name: service for service in services})


def facts(name: str, cpus: float = 4, memory_mib: int = 4096) -> NodeFacts:
    return NodeFacts(name=name, version="0", runtime="fake", cpus=cpus, memory_bytes=memory_mib * MIB)


def an_observed_node(
    name: str, liveness: Liveness = Liveness.ALIVE, cpus: float = 4, memory_mib: int = 4096
) -> ObservedNode:
    return ObservedNode(
        id=NodeId(name),
        name=name,
        address=Address("10.0.0.1", 8421),
        liveness=liveness,
        facts=facts(name, cpus, memory_mib),
        tasks={},
    )


APP = ServiceId("web.app")


@dataclass
class FakeCluster:
    store: Store = field(default_factory=Store)
    nodes: dict[NodeId, ObservedNode] = field(default_factory=dict)
    usage: dict[NodeId, NodeUsage] = field(default_factory=dict)
    now: float = START
    bad_images: set[str] = field(default_factory=set)
    """Tasks of these never become ready."""
    restarts_of_bad: int = 1
    """What their nodes say of how often they were started again."""
    doubted: set[NodeId] = field(default_factory=set)
    """Nodes that no majority of the voters holds for gone, whatever this leader sees."""
    gone: set[NodeId] = field(default_factory=set)
    """Nodes that a majority does, besides those that this leader sees dead."""
    refused: list[Transaction] = field(default_factory=list)
    _index: int = 0

    @classmethod
    def of(cls, *names: str, memory_mib: int = 4096) -> Self:
        cluster = cls()
        for name in names:
            cluster.add_node(name, memory_mib)
        return cluster

    # Reading

    @property
    def state(self) -> ClusterState:
        objects = ((each.key, each.value, each.modified_revision) for each in self.store.scan(""))
        return ClusterState.of(objects, self.store.revision)

    @property
    def observed(self) -> ObservedState:
        return ObservedState(dict(self.nodes), dict(self.usage))

    def tasks(self, service: ServiceId = APP) -> list[Task]:
        found = [each.value for each in self.state.tasks.values() if each.value.service == service]
        return sorted(found, key=lambda task: (task.created_at, task.slot, task.id))

    def running(self, service: ServiceId = APP) -> list[Task]:
        return [task for task in self.tasks(service) if task.desired is Desired.RUN]

    def ready(self, service: ServiceId = APP) -> list[Task]:
        return [task for task in self.running(service) if self.is_ready(task)]

    def is_ready(self, task: Task) -> bool:
        status = self.observed.status(task.node, task.id)
        return status is not None and status.ready and self.nodes[task.node].liveness is Liveness.ALIVE

    def status(self, task: Task) -> TaskStatus | None:
        return self.observed.status(task.node, task.id)

    # The leader's part

    def look(self, listening_since: float | None = None) -> Outcome:
        dead = {id_ for id_, node in self.nodes.items() if node.liveness is Liveness.DEAD}
        gone = (dead | self.gone) - self.doubted
        return reconcile(self.state, self.observed, self.now, gone=gone, listening_since=listening_since)

    def commit(self, transaction: Transaction) -> bool:
        check_transaction(transaction)
        self._index += 1
        result = self.store.apply(self._index, transaction)
        if not result.succeeded:
            self.refused.append(transaction)
        return result.succeeded

    def reconcile(self) -> Outcome:
        outcome = self.look()
        for transaction in outcome.transactions:
            assert self.commit(transaction), f"refused: {transaction.reason}"
        return outcome

    def deploy(self, spec: StackSpec) -> None:
        assert self.commit(stacks_controller.deploy(self.state, spec, self.now))

    def settle(self, rounds_max: int = 200) -> Outcome:
        """Leader and nodes take turns until neither has anything to do."""
        for _ in range(rounds_max):
            outcome = self.reconcile()
            if not self.nodes_act() and not outcome.transactions:
                return outcome
            self.now += 1
        raise AssertionError(f"not settled after {rounds_max} rounds")

    # The nodes' part

    def add_node(self, name: str, memory_mib: int = 4096) -> None:
        self.nodes[NodeId(name)] = an_observed_node(name, memory_mib=memory_mib)

    def set_liveness(self, name: str, liveness: Liveness) -> None:
        self.nodes[NodeId(name)] = replace(self.nodes[NodeId(name)], liveness=liveness)

    def publish(self, task: Task, phase: Phase, health: Health = Health.UNKNOWN, **more: object) -> None:
        node = self.nodes[task.node]
        before = node.tasks.get(task.id)
        unchanged = before is not None and (before.phase, before.health) == (phase, health)
        changed_at = before.changed_at if before is not None and unchanged else self.now
        status = TaskStatus.model_validate(
            {
                "task": task.id,
                "service": task.service,
                "revision": task.revision,
                "phase": phase,
                "health": health,
                "changed_at": changed_at,
                **more,
            }
        )
        self.nodes[task.node] = replace(node, tasks={**node.tasks, task.id: status})

    def forget_statuses(self) -> None:
        """As a leader sees it whose peers' records have not arrived yet."""
        self.nodes = {id_: replace(node, tasks={}) for id_, node in self.nodes.items()}

    def nodes_act(self, only: Iterable[TaskId] | None = None) -> bool:
        """Every living node takes each of its tasks one step further. True if any status changed."""
        before = dict(self.nodes)
        state = self.state
        chosen = set(state.tasks if only is None else only)
        for node in before.values():
            if node.liveness not in (Liveness.ALIVE, Liveness.SUSPECT):
                continue
            known = {task.id for task in state.tasks_on(node.id)}
            kept = {id_: status for id_, status in self.nodes[node.id].tasks.items() if id_ in known}
            self.nodes[node.id] = replace(self.nodes[node.id], tasks=kept)
            for task in state.tasks_on(node.id):
                if task.id in chosen:
                    self._advance(task)
        return before != self.nodes

    def _advance(self, task: Task) -> None:
        status = self.observed.status(task.node, task.id)
        phase = status.phase if status else None
        if task.desired is Desired.STOP:
            self.publish(task, Phase.STOPPING if phase in HAS_A_CONTAINER_THAT_RUNS else Phase.STOPPED)
        elif phase is None:
            self.publish(task, Phase.STARTING)
        elif task.template.image in self.bad_images:
            self.publish(task, Phase.BACKOFF, message="exits at once", restarts=self.restarts_of_bad)
        elif phase is not Phase.EXITED:
            self.publish(task, Phase.RUNNING, Health.HEALTHY)


def put_keys(transaction: Transaction) -> list[str]:
    return [each.key for each in transaction.operations if isinstance(each, Put)]


def deleted_keys(transaction: Transaction) -> list[str]:
    return [each.key for each in transaction.operations if isinstance(each, Delete)]
