"""What users are told, derived from agreed and observed state."""

from dataclasses import replace
from typing import Any

import pytest

from swarmlet.api.schema import RaftRole, ServiceState
from swarmlet.api.views import Moment, node_views, service_views, stack_view, task_views
from swarmlet.model.frozen import encode
from swarmlet.model.ids import NodeId, RevisionHash, ServiceId, StackName, TaskId
from swarmlet.model.objects import Desired, Node, NodeStatus, Service, Stack, Task
from swarmlet.model.observed import (
    Address,
    Health,
    Liveness,
    ObservedNode,
    ObservedState,
    Phase,
    ServiceProblem,
    TaskStatus,
)
from swarmlet.model.spec import Mode, ServiceSpec, TaskTemplate
from swarmlet.model.state import ClusterState
from swarmlet.model.usage import NodeUsage

NOW = 1_000.0
N1, N2 = NodeId("n1"), NodeId("n2")
WEB = ServiceId("hello.web")
TEMPLATE = TaskTemplate(image="web:1")


def a_task(number: int, node: NodeId = N1, **changes: Any) -> Task:
    fields = {
        "id": TaskId(f"t{number}"),
        "service": WEB,
        "slot": number,
        "node": node,
        "revision": TEMPLATE.revision(),
        "template": TEMPLATE,
        "created_at": 900.0,
    }
    return Task(**(fields | changes))


def a_status(task: Task, phase: Phase = Phase.RUNNING, health: Health = Health.HEALTHY, **changes: Any) -> TaskStatus:
    return TaskStatus(task=task.id, service=task.service, revision=task.revision, phase=phase, health=health, **changes)


def a_moment(
    tasks: list[Task],
    statuses: list[TaskStatus],
    *,
    replicas: int = 2,
    mode: Mode = Mode.REPLICATED,
    liveness: dict[NodeId, Liveness] | None = None,
    problems: dict[ServiceId, ServiceProblem] | None = None,
) -> Moment:
    spec = ServiceSpec(name="web", template=TEMPLATE, replicas=replicas, mode=mode)
    stored = [
        Stack(name=StackName("hello"), services=("web",), deployed_at=900.0),
        Service(id=WEB, stack=StackName("hello"), spec=spec, revision=TEMPLATE.revision()),
        *(Node(id=node, name=f"host-{node}", status=NodeStatus.UP, status_since=1.0) for node in (N1, N2)),
        *tasks,
    ]
    state = ClusterState.of(((thing.key, encode(thing), 1) for thing in stored), revision=7)
    by_task = {status.task: status for status in statuses}
    observed = {
        node: ObservedNode(
            node,
            f"host-{node}",
            Address("10.0.0.1", 8421),
            (liveness or {}).get(node, Liveness.ALIVE),
            tasks={task.id: by_task[task.id] for task in tasks if task.node == node and task.id in by_task},
            problems=(problems or {}) if node == N1 else {},
        )
        for node in (N1, N2)
    }
    return Moment(state, ObservedState(observed), {N1: RaftRole.LEADER, N2: RaftRole.VOTER}, leader=N1, now=NOW)


def test_a_service_has_converged_when_every_wanted_task_is_ready() -> None:
    tasks = [a_task(1), a_task(2, N2)]

    (view,) = service_views(a_moment(tasks, [a_status(task) for task in tasks]))

    assert (view.state, view.ready, view.wanted, view.problem) == (ServiceState.CONVERGED, 2, 2, "")


def test_a_task_on_a_suspected_node_does_not_count_as_ready() -> None:
    tasks = [a_task(1), a_task(2, N2)]

    (view,) = service_views(a_moment(tasks, [a_status(t) for t in tasks], liveness={N2: Liveness.SUSPECT}))

    assert (view.state, view.ready) == (ServiceState.PROGRESSING, 1)


def test_an_outdated_task_that_still_runs_keeps_a_service_from_having_converged() -> None:
    old = a_task(3, revision=RevisionHash("old"))
    tasks = [a_task(1), a_task(2, N2), old]

    (view,) = service_views(a_moment(tasks, [a_status(task) for task in tasks]))

    assert (view.state, view.outdated) == (ServiceState.PROGRESSING, 1)


def test_a_task_that_ended_as_declared_fulfils_its_slot() -> None:
    task = a_task(1)

    (view,) = service_views(a_moment([task], [a_status(task, Phase.EXITED, Health.UNKNOWN, exit_code=0)], replicas=1))

    assert view.state is ServiceState.CONVERGED


def test_a_task_that_ended_badly_and_stays_ended_is_stuck() -> None:
    task = a_task(1)
    failed = a_status(task, Phase.EXITED, Health.UNKNOWN, exit_code=3, message="exited with status 3")

    (view,) = service_views(a_moment([task], [failed], replicas=1))

    assert (view.state, view.ready, view.problem) == (ServiceState.STUCK, 0, "exited with status 3")


def test_a_global_service_wants_a_task_on_every_node_that_is_up() -> None:
    (view,) = service_views(a_moment([], [], mode=Mode.GLOBAL))

    assert view.wanted == 2


def test_a_service_that_cant_be_placed_is_stuck_and_says_why_per_node() -> None:
    problem = ServiceProblem(service=WEB, message="2 tasks can't be placed", per_node={"host-n1": "needs 4 GiB"})

    (view,) = service_views(a_moment([], [], problems={WEB: problem}))

    assert view.state is ServiceState.STUCK
    assert view.per_node == {"host-n1": "needs 4 GiB"}


def test_a_service_that_is_as_declared_has_no_reasons_either() -> None:
    """Its tasks are to leave a node that is drained, and have nowhere to go: the node's drain says so."""
    problem = ServiceProblem(service=WEB, message="the relocation waits", per_node={"host-n1": "is cordoned"})
    task = a_task(1)

    (view,) = service_views(a_moment([task], [a_status(task)], replicas=1, problems={WEB: problem}))

    assert (view.state, view.problem, view.per_node) == (ServiceState.CONVERGED, "", {})


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.PULLING])
def test_an_image_that_could_not_be_had_makes_a_service_stuck_also_while_it_is_tried_again(phase: Phase) -> None:
    task = a_task(1)
    status = a_status(task, phase, Health.UNKNOWN, message="no such image")

    (view,) = service_views(a_moment([task], [status], replicas=1))

    assert (view.state, view.problem) == (ServiceState.STUCK, "no such image")


def test_an_image_that_is_being_fetched_for_the_first_time_is_progress() -> None:
    task = a_task(1)

    (view,) = service_views(a_moment([task], [a_status(task, Phase.PULLING, Health.UNKNOWN)], replicas=1))

    assert view.state is ServiceState.PROGRESSING


def test_a_crash_loop_makes_a_service_stuck() -> None:
    task = a_task(1)
    looping = a_status(task, Phase.BACKOFF, Health.UNKNOWN, restarts=3, message="exited with status 1")

    (view,) = service_views(a_moment([task], [looping], replicas=1))

    assert (view.state, view.problem) == (ServiceState.STUCK, "exited with status 1")


def test_a_task_of_a_dead_node_has_an_unknown_phase() -> None:
    task = a_task(1, N2)

    (view,) = task_views(a_moment([task], [a_status(task)], liveness={N2: Liveness.DEAD}), [task])

    assert (view.phase, view.ready, view.node) == ("unknown", False, "host-n2")


def test_a_task_without_a_status_is_pending() -> None:
    task = a_task(1, desired=Desired.STOP, stop_reason="scaled down")

    (view,) = task_views(a_moment([task], []), [task])

    assert (view.phase, view.message) == ("pending", "scaled down")


def test_nodes_are_listed_with_role_and_tasks() -> None:
    first, second = node_views(a_moment([a_task(1), a_task(2)], []))

    assert (first.name, first.role, first.tasks) == ("host-n1", RaftRole.LEADER, 2)
    assert (second.name, second.role, second.tasks) == ("host-n2", RaftRole.VOTER, 0)


def test_a_stack_is_as_far_as_its_worst_service() -> None:
    view = stack_view(a_moment([], []), StackName("hello"))

    assert view is not None and view.state is ServiceState.PROGRESSING
    assert stack_view(a_moment([], []), StackName("other")) is None


def test_a_tasks_use_is_told_as_its_living_node_measured_it() -> None:
    task = a_task(1)
    moment = a_moment([task], [a_status(task)])
    usage = {N1: NodeUsage(tasks={task.id: (250, 2048)})}
    known = replace(moment, observed=ObservedState(moment.observed.nodes, usage))

    (measured,) = task_views(known, [task])
    (unmeasured,) = task_views(moment, [task])

    assert (measured.cpus_used, measured.memory_used_bytes) == (0.25, 2 << 20)
    assert (unmeasured.cpus_used, unmeasured.memory_used_bytes) == (None, None)
