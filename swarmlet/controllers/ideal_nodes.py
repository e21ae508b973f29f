"""Nodes as one would wish them: each task that they are given is ready at the next look, each that is to stop is gone.

Rules:
- Only nodes that live do anything. What the others said last stays said.
- What has ended stays ended. A task that others wait for to complete ends well; any other that runs is ready.
- A status that is as it would become is kept, with the moment of its last change: a wait that has begun goes on.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Health, Liveness, ObservedNode, ObservedState, Phase, TaskStatus
from swarmlet.model.state import ClusterState


def obey(state: ClusterState, observed: ObservedState, completing: Collection[ServiceId], now: float) -> ObservedState:
    """What is observed once every living node has done what is agreed. `completing`: services whose tasks end well."""
    told: dict[NodeId, list[Task]] = {}
    for versioned in state.tasks.values():
        told.setdefault(versioned.value.node, []).append(versioned.value)
    nodes = {id_: _obeyed(node, told.get(id_, []), completing, now) for id_, node in observed.nodes.items()}
    return replace(observed, nodes=nodes)


def _obeyed(node: ObservedNode, tasks: list[Task], completing: Collection[ServiceId], now: float) -> ObservedNode:
    if node.liveness is not Liveness.ALIVE:
        return node
    statuses: Mapping[TaskId, TaskStatus] = {
        task.id: _status(task, node.tasks.get(task.id), task.service in completing, now) for task in tasks
    }
    return node if statuses == node.tasks else replace(node, tasks=statuses)


def _status(task: Task, known: TaskStatus | None, completes: bool, now: float) -> TaskStatus:
    wanted = TaskStatus(
        task=task.id, service=task.service, revision=task.revision, phase=Phase.RUNNING, health=Health.HEALTHY
    )
    if task.desired is Desired.STOP:
        wanted = wanted.model_copy(update={"phase": Phase.STOPPED, "health": Health.UNKNOWN})
    elif known is not None and known.phase is Phase.EXITED:
        return known
    elif completes:
        wanted = wanted.model_copy(update={"phase": Phase.EXITED, "health": Health.UNKNOWN, "exit_code": 0})
    if known is not None and (known.phase, known.health) == (wanted.phase, wanted.health):
        return known
    return wanted.model_copy(update={"changed_at": now})
