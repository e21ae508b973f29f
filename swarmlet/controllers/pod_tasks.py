"""Pods as they stand: which tasks share one network, on which node, and which of them have to go together.

Rules:
- A pod instance is the tasks of one slot of all services with the same `pod` in a stack. It is where its oldest task
  is; a task of it elsewhere (after a mishap) leaves its node for that one.
- When one of its tasks has to leave its node, all of them have to (see `pod_departures`).
- A task that has ended does nothing on its node any more and holds nobody there. Global services share by node, with no
  need of any of this.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from swarmlet.controllers.task_view import Standing, TaskView
from swarmlet.model.ids import ServiceId, StackName
from swarmlet.model.objects import Service, Task
from swarmlet.model.spec import Mode, ServiceSpec
from swarmlet.model.state import ClusterState


class PodKey(NamedTuple):
    """One instance of a pod."""

    stack: StackName
    pod: str
    slot: int


def pod_key(service: ServiceId, pod: str, slot: int) -> PodKey | None:
    """None for what shares its network with nobody, or by being on one node."""
    return PodKey(StackName(service.partition(".")[0]), pod, slot) if pod and slot else None


def key_of(task: Task) -> PodKey | None:
    return pod_key(task.service, task.template.pod, task.slot)


def members(state: ClusterState) -> dict[tuple[StackName, str], list[Service]]:
    """By stack and pod, the replicated services that share it, sorted by name."""
    found: dict[tuple[StackName, str], list[Service]] = defaultdict(list)
    for _, versioned in sorted(state.services.items()):
        service = versioned.value
        if _shares(service.spec):
            found[service.stack, service.spec.template.pod].append(service)
    return dict(found)


def _shares(spec: ServiceSpec) -> bool:
    return bool(spec.template.pod) and spec.mode is Mode.REPLICATED


@dataclass(frozen=True, slots=True)
class PodTasks:
    """All pod instances, at one moment."""

    members: Mapping[tuple[StackName, str], list[Service]] = field(default_factory=dict)
    anchors: Mapping[PodKey, TaskView] = field(default_factory=dict)
    """The task that says where the instance is."""
    leaving: frozenset[PodKey] = frozenset()


def stand_together(state: ClusterState, tasks: Mapping[ServiceId, list[TaskView]]) -> PodTasks:
    """Looks at all tasks. Those in `tasks` that go with others of their pod are replaced by ones that say so."""
    sharing = members(state)
    if not sharing:
        return PodTasks()
    ids = {service.id for services in sharing.values() for service in services}
    instances: dict[PodKey, list[TaskView]] = defaultdict(list)
    for id_ in sorted(ids):
        for each in tasks.get(id_, ()):
            key = key_of(each.task)
            if key is not None and _holds(each):
                instances[key].append(each)
    anchors = {key: min(found, key=_age) for key, found in instances.items()}
    leaving: dict[PodKey, str] = {}
    for key, anchor in anchors.items():
        reasons = [each.leaves for each in instances[key] if each.leaves and each.task.node == anchor.task.node]
        if reasons:
            leaving[key] = reasons[0]
    for id_ in ids & tasks.keys():
        tasks[id_][:] = _with_their_pods(tasks[id_], anchors, leaving)
    return PodTasks(sharing, anchors, frozenset(leaving))


def _holds(each: TaskView) -> bool:
    return each.runs and each.standing not in (Standing.LOST, Standing.ENDED)


def _age(each: TaskView) -> tuple[float, str]:
    return each.task.created_at, each.id


def _with_their_pods(
    views: Iterable[TaskView], anchors: Mapping[PodKey, TaskView], leaving: Mapping[PodKey, str]
) -> list[TaskView]:
    return [_with_its_pod(each, anchors, leaving) for each in views]


def _with_its_pod(each: TaskView, anchors: Mapping[PodKey, TaskView], leaving: Mapping[PodKey, str]) -> TaskView:
    key = key_of(each.task)
    if key is None or not _holds(each) or each.leaves:
        return each
    anchor = anchors[key]
    if each.task.node != anchor.task.node:
        return replace(each, leaves=f"its pod {key.pod} is on another node")
    return replace(each, leaves=leaving[key]) if key in leaving else each
