"""An autoscaled service whose nodes measure what a test says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template

from swarmlet.controllers.autoscaling import Assessment, assess
from swarmlet.model.autoscale import Autoscale, Autoscaling
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.objects import Task
from swarmlet.model.spec import StackSpec
from swarmlet.model.usage import NodeUsage

LOOK_S = 5.0


def by_cpu(replicas_max: int = 10, replicas_min: int = 1, percent: int = 50, **more: Any) -> Autoscale:
    return Autoscale(replicas_min=replicas_min, replicas_max=replicas_max, cpu_percent=percent, **more)


def a_scaled_stack(scaling: Autoscale, replicas: int = 1, version: str = "1") -> StackSpec:
    """Each task reserves a tenth of a processor and 100 MiB."""
    service = a_service(replicas=replicas, template=a_template(version, memory_mib=100, cpus=0.1))
    return a_stack(service.model_copy(update={"autoscale": scaling}))


@dataclass
class ScaledCluster(FakeCluster):
    silent: set[TaskId] = field(default_factory=set)
    """Ready tasks whose nodes have no figure of them."""
    counts: list[int] = field(default_factory=list)
    """The number of replicas after each look."""

    @classmethod
    def with_service(cls, scaling: Autoscale, replicas: int = 1, nodes: int = 3) -> "ScaledCluster":
        cluster = cls()
        for number in range(1, nodes + 1):
            cluster.add_node(f"n{number}", memory_mib=65_536)
        cluster.deploy(a_scaled_stack(scaling, replicas))
        cluster.settle()
        return cluster

    @property
    def replicas(self) -> int:
        return self.state.services[APP].value.spec.replicas

    @property
    def record(self) -> Autoscaling:
        return self.state.autoscaling[APP].value

    def measure(self, milli: Callable[[int], float], memory_mib: float = 10) -> None:
        """What each ready task uses, of so many."""
        ready = {task.id for task in self.ready()}
        figures = (round(milli(len(ready))), round(memory_mib * 1024))
        self.publish_usage(lambda task: figures if task.id in ready else None)

    def publish_usage(self, of: Callable[[Task], tuple[int, int] | None]) -> None:
        usage: dict[NodeId, dict[TaskId, tuple[int, int]]] = {node: {} for node in self.nodes}
        for task in self.running():
            if task.id not in self.silent and (found := of(task)) is not None:
                usage[task.node][task.id] = found
        self.usage = {node: NodeUsage(tasks=tasks) for node, tasks in usage.items()}

    def assess(self) -> Assessment:
        stored = self.state.autoscaling.get(APP)
        service = self.state.services[APP].value
        return assess(service, self.tasks(), stored.value if stored else None, self.observed, self.now)

    def live(self, seconds: float, load_milli: float) -> None:
        """So long under a load that the ready tasks share; the leader looks as often as nodes measure."""
        until = self.now + seconds
        while self.now < until:
            self.now += LOOK_S
            self.measure(lambda ready: load_milli / max(ready, 1))
            for _ in range(4):
                outcome = self.reconcile()
                if not self.nodes_act() and not outcome.transactions:
                    break
            self.counts.append(self.replicas)
