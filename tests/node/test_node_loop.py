"""The node loop against the fake runtime: assignments in, containers and statuses out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from node_builders import NODE, a_task, stopped

from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.objects import Task
from swarmlet.model.observed import Endpoint, Health, Phase, TaskStatus
from swarmlet.model.spec import CommandProbe, HealthCheck
from swarmlet.node.backoff import Backoff
from swarmlet.node.errors import NoContainerYet, UnknownTask
from swarmlet.node.loop import NodeLoop
from swarmlet.node.settings import NodeSettings
from swarmlet.runtime.fake import FakeRuntime
from swarmlet.runtime.interface import ContainerId, ContainerSpec, ContainerState, ExecResult

DEADLINE_S = 10.0
QUICK = NodeSettings(
    restart=Backoff(0.01, 0.1),
    image=Backoff(0.01, 0.05),
    engine=Backoff(0.01, 0.05),
    exit_doubt_s=0.0,
    steady_s=0.0,
)
T1 = TaskId("t1")


@dataclass(slots=True)
class Node:
    """A node loop that runs, its engine, and everything it published."""

    runtime: FakeRuntime
    loop: NodeLoop
    published: list[tuple[TaskId, TaskStatus | None]]
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def status(self, task: TaskId = T1) -> TaskStatus:
        return self.loop.statuses()[task]

    def calls(self, *names: str) -> list[str]:
        return [call for call, _ in self.runtime.calls if call in names]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Looks again whenever a status was published or a call made."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.changed.clear()
                published = asyncio.ensure_future(self.changed.wait())
                called = asyncio.ensure_future(self._next_call())
                await asyncio.wait([published, called], return_when=asyncio.FIRST_COMPLETED)
                for waiting in (published, called):
                    waiting.cancel()
                    with suppress(asyncio.CancelledError):
                        await waiting

    async def _next_call(self) -> None:
        seen = len(self.runtime.calls)
        await self.runtime.until(lambda: len(self.runtime.calls) > seen, DEADLINE_S)

    async def until_phase(self, phase: Phase, task: TaskId = T1) -> TaskStatus:
        await self.until(lambda: task in self.loop.statuses() and self.status(task).phase is phase)
        return self.status(task)


@asynccontextmanager
async def a_node(
    runtime: FakeRuntime | None = None, drain_s: float = 0.0, settings: NodeSettings = QUICK
) -> AsyncIterator[Node]:
    """Cancelled at the end, as an agent that stops does."""
    engine = runtime or FakeRuntime(node_id=NODE)
    changed = asyncio.Event()
    published: list[tuple[TaskId, TaskStatus | None]] = []

    def publish(task: TaskId, status: TaskStatus | None) -> None:
        published.append((task, status))
        changed.set()

    loop = NodeLoop(NODE, "alpha", engine, publish, drain_s=drain_s, settings=settings)
    running = asyncio.create_task(loop.run())
    try:
        yield Node(engine, loop, published, changed)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def a_container(runtime: FakeRuntime, task: Task, started: bool = True) -> None:
    """One that an agent before this one has left."""
    container = await runtime.create(ContainerSpec(task.id, task.service, f"swarmlet-x-{task.id}", task.template))
    if started:
        await runtime.start(container)


@asynccontextmanager
async def a_listener() -> AsyncIterator[Endpoint]:
    """Something that accepts connections, as a task's port would."""

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield Endpoint(target_port=80, host="127.0.0.1", port=server.sockets[0].getsockname()[1])


async def test_an_assigned_task_runs_with_its_environment() -> None:
    async with a_node() as node:
        node.loop.desired([a_task(slot=3)])
        status = await node.until_phase(Phase.RUNNING)

        assert status.ready and status.changed_at > 0
        [container] = node.runtime.containers.values()
        assert container.spec.environment == {
            "SWARMLET_TASK": "t1",
            "SWARMLET_SERVICE": "demo.web",
            "SWARMLET_SLOT": "3",
            "SWARMLET_NODE": "node-1",
            "SWARMLET_NODE_NAME": "alpha",
        }
        assert container.spec.name == "swarmlet-demo.web-t1"
        assert (T1, status) in node.published


async def test_what_happens_to_tasks_is_counted() -> None:
    async with a_node() as node:
        assert node.loop.changes == 0
        node.loop.desired([a_task()])
        await node.until_phase(Phase.RUNNING)
        running = node.loop.changes

        node.loop.desired([stopped(a_task())])
        await node.until_phase(Phase.STOPPED)

        assert 0 < running < node.loop.changes


async def test_endpoints_are_published_once_the_port_answers_and_withdrawn_before_the_stop() -> None:
    async with a_listener() as endpoint, a_node(drain_s=0.05) as node:
        node.runtime.endpoints[T1] = (endpoint,)
        node.loop.desired([a_task(port=80)])
        await node.until(lambda: T1 in node.loop.statuses() and node.status().ready)
        assert node.status().endpoints == (endpoint,)

        node.loop.desired([stopped(a_task(port=80))])
        status = await node.until_phase(Phase.STOPPING)
        assert status.endpoints == () and "stop" not in node.calls("stop")
        status = await node.until_phase(Phase.STOPPED)

        assert (status.exit_code, status.message) == (143, "scaled down")
        assert len(node.runtime.containers) == 1, "kept for its logs"


async def test_thirty_tasks_at_once_share_one_look_at_the_image_and_few_listings() -> None:
    async with a_node() as node:
        node.loop.desired([])
        await node.until(lambda: bool(node.calls("list")))
        node.loop.desired([a_task(f"t{number}") for number in range(30)])

        await node.until(
            lambda: len(node.loop.statuses()) == 30 and all(status.ready for status in node.loop.statuses().values())
        )

        assert len(node.calls("ensure_image")) == 1
        assert len(node.calls("create")) == len(node.calls("start")) == 30
        assert len(node.calls("list")) <= 3


async def test_a_slow_pull_holds_up_no_other_task() -> None:
    async with a_node() as node:
        node.runtime.hold_pull("slow:1")
        node.loop.desired([a_task("t1", image="slow:1"), a_task("t2")])

        await node.until_phase(Phase.RUNNING, TaskId("t2"))
        assert node.status().phase is Phase.PULLING
        node.runtime.release_pull("slow:1")

        await node.until_phase(Phase.RUNNING)


async def test_a_missing_image_is_told_and_had_when_it_appears() -> None:
    async with a_node() as node:
        node.runtime.missing_images["web:1"] = "manifest unknown"
        node.loop.desired([a_task()])
        await node.until(lambda: T1 in node.loop.statuses() and "manifest unknown" in node.status().message)

        node.runtime.missing_images.clear()

        assert (await node.until_phase(Phase.RUNNING)).message == ""


async def test_a_killed_container_is_started_again_in_place() -> None:
    async with a_node() as node:
        node.loop.desired([a_task()])
        await node.until_phase(Phase.RUNNING)

        node.runtime.exit(T1, 137)
        await node.until(lambda: node.status().restarts == 1 and node.status().ready)

        assert node.status().exit_code == 137
        assert node.calls("create", "start") == ["create", "start", "start"]
        assert len(node.calls("list")) <= 2, "the way back asks nothing that it need not know"


async def test_a_task_without_an_object_is_stopped_removed_and_no_longer_spoken_of() -> None:
    async with a_node() as node:
        node.loop.desired([a_task()])
        await node.until_phase(Phase.RUNNING)

        node.loop.desired([])
        await node.until(lambda: T1 not in node.loop.statuses())

        assert node.runtime.containers == {}
        assert node.published[-1] == (T1, None)


async def test_nothing_is_removed_before_the_assignments_are_known() -> None:
    runtime = FakeRuntime(node_id=NODE)
    await a_container(runtime, a_task("orphan"))
    await a_container(runtime, a_task("t1"))
    async with a_node(runtime) as node:
        runtime.resync()
        await asyncio.sleep(0)
        assert node.calls("list", "stop", "remove") == []

        node.loop.desired([a_task("t1")])
        await node.until(lambda: len(runtime.containers) == 1 and T1 in node.loop.statuses() and node.status().ready)

        assert {container.spec.task for container in runtime.containers.values()} == {T1}
        assert {task for task, _ in node.published} == {T1}, "nothing is said of an orphan"
        assert node.calls("start", "stop") == ["start", "start", "stop"], "the task's own was adopted as it ran"
        assert node.status().restarts == 0


async def test_a_task_that_arrives_while_the_engine_is_listed_is_no_orphan() -> None:
    runtime = FakeRuntime(node_id=NODE)
    await a_container(runtime, a_task("t1"))
    async with a_node(runtime) as node:
        node.loop.desired([])
        node.loop.desired([a_task("t1")])

        await node.until_phase(Phase.RUNNING)

        assert node.calls("stop") == []


async def test_a_cancelled_node_loop_leaves_containers_running_and_the_next_adopts_them() -> None:
    runtime = FakeRuntime(node_id=NODE)
    async with a_node(runtime) as node:
        node.loop.desired([a_task()])
        await node.until_phase(Phase.RUNNING)
    assert runtime.running(T1)

    async with a_node(runtime) as node:
        node.loop.desired([a_task()])
        status = await node.until_phase(Phase.RUNNING)

        assert status.ready and status.restarts == 0
        assert node.calls("create", "start", "stop", "remove") == ["create", "start"]


async def test_an_exit_nobody_saw_is_found_by_the_resync() -> None:
    async with a_node() as node:
        node.loop.desired([a_task()])
        await node.until_phase(Phase.RUNNING)
        readers, node.runtime._readers = node.runtime._readers, set()
        node.runtime.exit(T1, 1)
        node.runtime._readers = readers

        node.runtime.resync()
        await node.until(lambda: node.status().restarts == 1 and node.status().ready)


async def test_an_engine_that_is_away_at_the_start_is_waited_for() -> None:
    runtime = FakeRuntime(node_id=NODE)
    runtime.unavailable = "connection refused"
    async with a_node(runtime) as node:
        node.loop.desired([a_task()])
        await node.until(lambda: T1 in node.loop.statuses() and "connection refused" in node.status().message)
        assert node.status().phase is Phase.PENDING

        runtime.unavailable = ""
        assert (await node.until_phase(Phase.RUNNING)).message == ""


async def test_a_call_that_takes_too_long_is_told_and_looked_into() -> None:
    runtime = FakeRuntime(node_id=NODE)
    first = asyncio.Event()

    plain_start = runtime.start

    async def hang_once(container_id: ContainerId) -> None:
        if not first.is_set():
            first.set()
            await asyncio.Event().wait()
        await plain_start(container_id)

    runtime.start = hang_once  # type: ignore[method-assign]
    settings = NodeSettings(engine=Backoff(0.01, 0.05), call_timeout_s=0.05)
    async with a_node(runtime, settings=settings) as node:
        node.loop.desired([a_task()])

        await node.until_phase(Phase.RUNNING)

        messages = [status.message for _, status in node.published if status]
        assert "fake did not answer within 0.05 s (Start)" in messages
        assert len(runtime.containers) == 1


async def test_a_failing_command_probe_restarts_the_task() -> None:
    healthy = False
    check = HealthCheck(
        probe=CommandProbe(argv=("check",)), interval_s=0.02, timeout_s=1.0, retries=2, start_interval_s=0.01
    )
    runtime = FakeRuntime(node_id=NODE)
    runtime.exec_handler = lambda _task, _argv: ExecResult(0 if healthy else 1, "disk full\n")
    async with a_node(runtime) as node:
        node.loop.desired([a_task(check=check)])
        await node.until(lambda: T1 in node.loop.statuses() and node.status().restarts == 1)
        messages = [status.message for _, status in node.published if status and status.health is Health.UNHEALTHY]
        assert "health check failed 2 times in a row: check exited with status 1: disk full" in messages

        healthy = True
        await node.until(lambda: node.status().ready)


async def test_logs_of_running_and_stopped_tasks_are_read_until_they_are_gone() -> None:
    async with a_node() as node:
        with pytest.raises(UnknownTask):
            node.loop.task_logs(T1, None, False)
        node.runtime.hold_pull("web:1")
        node.loop.desired([a_task()])
        await node.until_phase(Phase.PULLING)
        with pytest.raises(NoContainerYet):
            node.loop.task_logs(T1, None, False)
        node.runtime.release_pull("web:1")
        await node.until_phase(Phase.RUNNING)
        for text in ("one", "two"):
            node.runtime.log(T1, text)
        node.loop.desired([stopped(a_task())])
        await node.until_phase(Phase.STOPPED)

        assert [line.text async for line in node.loop.task_logs(T1, 1, False)] == ["two"]
        node.loop.desired([])
        await node.until(lambda: T1 not in node.loop.statuses())
        with pytest.raises(UnknownTask):
            node.loop.task_logs(T1, None, False)


async def test_the_time_of_change_is_that_of_phase_and_health_only() -> None:
    times = iter(range(1, 100))
    runtime = FakeRuntime(node_id=NODE)
    published: list[TaskStatus] = []
    done = asyncio.Event()

    def publish(_task: TaskId, status: TaskStatus | None) -> None:
        assert status is not None
        published.append(status)
        if status.ready:
            done.set()

    loop = NodeLoop(NODE, "alpha", runtime, publish, wall=lambda: float(next(times)), settings=QUICK)
    running = asyncio.create_task(loop.run())
    loop.desired([a_task()])
    async with asyncio.timeout(DEADLINE_S):
        await done.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    before = (None, 0.0)
    for status in published:
        assert (status.phase is before[0]) == (status.changed_at == before[1])
        before = (status.phase, status.changed_at)


async def test_containers_of_other_nodes_tasks_are_refused_at_the_door() -> None:
    async with a_node() as node:
        with pytest.raises(AssertionError):
            node.loop.desired([a_task().model_copy(update={"node": NodeId("node-2")})])


async def test_a_container_that_was_created_and_never_started_is_started() -> None:
    runtime = FakeRuntime(node_id=NODE)
    await a_container(runtime, a_task(), started=False)
    async with a_node(runtime) as node:
        node.loop.desired([a_task()])
        await node.until_phase(Phase.RUNNING)

        assert node.calls("create", "start") == ["create", "start"]
        assert [container.seen.state for container in runtime.containers.values()] == [ContainerState.RUNNING]
