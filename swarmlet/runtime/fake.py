"""A runtime in memory, for unit tests: it keeps the interface's promises and does what the test says.

Rules:
- Deterministic: no clock but the one handed in, no randomness, no task of its own; ids are `fake-1`, `fake-2` …
- Each call is written to `calls`, also one that then fails: `("start", container id)`.
- Failures are switched on by task, since a test knows its tasks before it knows container ids.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace

from swarmlet.model.container import PullPolicy
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.observed import Endpoint
from swarmlet.model.spec import Resources
from swarmlet.runtime.interface import (
    RESYNC,
    Container,
    ContainerEvent,
    ContainerFailed,
    ContainerId,
    ContainerSpec,
    ContainerState,
    EventKind,
    ExecResult,
    ExecTimedOut,
    ImageUnavailable,
    LogLine,
    NoSuchContainer,
    RuntimeUnavailable,
    Stock,
    Stream,
    Used,
    identity_labels,
    target_ports,
)

KILLED = 137
TERMINATED = 143
EVENTS_WAITING_MAX = 10_000
"""Per reader; a test that leaves more unread has lost its reader."""


@dataclass(slots=True)
class FakeContainer:
    spec: ContainerSpec
    labels: dict[str, str]
    seen: Container
    lines: list[LogLine] = field(default_factory=list)


ExecHandler = Callable[[TaskId, tuple[str, ...]], ExecResult]


def _succeed(_task: TaskId, _argv: tuple[str, ...]) -> ExecResult:
    return ExecResult(0, "")


class FakeRuntime:
    """Knobs are plain attributes; what a container does by itself is told by `exit` and `log`."""

    def __init__(
        self,
        cluster: str = "test",
        node_id: NodeId = NodeId("node-1"),  # noqa: B008  (a NewType: nothing is called)
        clock: Callable[[], float] = lambda: 0.0,
        capacity: Resources = Resources(cpus=4.0, memory_bytes=8 << 30),  # noqa: B008  (frozen)
    ) -> None:
        self.cluster = cluster
        self.node_id = node_id
        self.clock = clock
        self.calls: list[tuple[str, str]] = []
        self.containers: dict[ContainerId, FakeContainer] = {}
        self.pods: dict[str, int] = {}
        """Those with containers, and what tells their addresses apart."""
        self.volumes: set[str] = set()
        self.images: set[str] = set()
        """Here already; any other is fetched at once unless `missing_images` or `hold_pull` says otherwise."""

        self.missing_images: dict[str, str] = {}
        """Image -> the engine's words of why it can't be had."""
        self.create_failures: dict[TaskId, str] = {}
        self.start_failures: dict[TaskId, str] = {}
        self.ignores_sigterm: set[TaskId] = set()
        """These end only by SIGKILL: `stop` waits for `end_grace` (or `exit`) before it kills them."""
        self.endpoints: dict[TaskId, tuple[Endpoint, ...]] = {}
        """Instead of the made-up 10.88.0.N."""
        self.exec_handler: ExecHandler = _succeed
        """May raise `TimeoutError`."""
        self.used: dict[TaskId, Used] = {}
        """What running containers use; nothing where nothing is said."""
        self.unavailable = ""
        """Not empty: every call raises `RuntimeUnavailable` with these words."""

        self._capacity = capacity
        self._numbers = itertools.count(1)
        self._pod_numbers = itertools.count(1)
        self._held_pulls: dict[str, asyncio.Event] = {}
        self._graces: dict[ContainerId, asyncio.Event] = {}
        self._readers: set[asyncio.Queue[ContainerEvent | None]] = set()
        self._waiters: list[asyncio.Future[None]] = []
        self._closed = False

    # what the test does to it

    def hold_pull(self, image: str) -> None:
        """`ensure_image` of this image waits until `release_pull`."""
        self._held_pulls[image] = asyncio.Event()

    def release_pull(self, image: str) -> None:
        self._held_pulls.pop(image).set()

    def exit(self, task: TaskId, exit_code: int) -> None:
        """The task's running container ends by itself."""
        container_id = self.running(task)
        if container_id is None:
            raise AssertionError(f"task {task} has no running container")
        self._end(container_id, exit_code)

    def end_grace(self, task: TaskId) -> None:
        """The grace period of a container that ignores SIGTERM is over."""
        for container_id, grace in self._graces.items():
            if self.containers[container_id].spec.task == task:
                grace.set()

    def log(self, task: TaskId, text: str, stream: Stream = "stdout") -> None:
        for container in self.containers.values():
            if container.spec.task == task:
                container.lines.append(LogLine(self.clock(), stream, text))
        self._wake()

    def resync(self) -> None:
        """The engine was away and is back: readers of events are told to list."""
        self._emit(RESYNC)

    def running(self, task: TaskId) -> ContainerId | None:
        for container_id, container in self.containers.items():
            if container.spec.task == task and container.seen.state is ContainerState.RUNNING:
                return container_id
        return None

    async def until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Wait until a condition on this runtime holds; raises `TimeoutError` when it does not in time."""
        async with asyncio.timeout(timeout_s):
            await self._wait_for(condition)

    # the interface

    @property
    def name(self) -> str:
        return "fake"

    async def ensure_image(self, image: str, policy: PullPolicy = PullPolicy.MISSING) -> None:
        self._called("ensure_image", image)
        if image in self.images and policy is not PullPolicy.ALWAYS:
            return
        if policy is PullPolicy.NEVER:
            raise ImageUnavailable(image, "it is not here, and its pull policy is never")
        if held := self._held_pulls.get(image):
            await held.wait()
        if image in self.missing_images:
            raise ImageUnavailable(image, self.missing_images[image])
        self.images.add(image)

    async def create(self, spec: ContainerSpec) -> ContainerId:
        self._called("create", spec.task)
        if spec.task in self.create_failures:
            raise ContainerFailed(self.create_failures[spec.task])
        if any(other.spec.name == spec.name for other in self.containers.values()):
            raise ContainerFailed(f"the container name {spec.name} is already in use")
        container_id = ContainerId(f"fake-{next(self._numbers)}")
        if spec.pod:
            self.pods.setdefault(spec.pod, next(self._pod_numbers))
        seen = Container(
            container_id, spec.task, ContainerState.CREATED, None, None, (), spec.template.image, spec.devices
        )
        self.containers[container_id] = FakeContainer(spec, identity_labels(self.cluster, self.node_id, spec), seen)
        self._wake()
        return container_id

    async def start(self, container_id: ContainerId) -> None:
        container = self._find("start", container_id)
        if container.seen.state is ContainerState.RUNNING:
            return
        task = container.spec.task
        if task in self.start_failures:
            raise ContainerFailed(self.start_failures[task])
        container.seen = replace(
            container.seen,
            state=ContainerState.RUNNING,
            exit_code=None,
            started_at=self.clock(),
            endpoints=self._endpoints_of(container),
        )
        self._emit(ContainerEvent(container_id, task, EventKind.STARTED))

    async def stop(self, container_id: ContainerId, grace_s: float) -> None:
        container = self._find("stop", container_id)
        if grace_s > 0 and container.spec.task not in self.ignores_sigterm:
            self._end(container_id, TERMINATED)
        elif grace_s > 0 and container.seen.state is ContainerState.RUNNING:
            await self._graces.setdefault(container_id, asyncio.Event()).wait()
            self._graces.pop(container_id, None)
        self._end(container_id, KILLED)

    async def kill(self, container_id: ContainerId) -> None:
        self._find("kill", container_id)
        self._end(container_id, KILLED)

    async def remove(self, container_id: ContainerId) -> None:
        self._called("remove", container_id)
        self._end(container_id, KILLED)
        self.containers.pop(container_id, None)
        kept = {container.spec.pod for container in self.containers.values()}
        self.pods = {pod: number for pod, number in self.pods.items() if pod in kept}
        self._wake()

    async def list(self) -> list[Container]:
        self._called("list", "")
        return [container.seen for container in self.containers.values()]

    async def events(self) -> AsyncGenerator[ContainerEvent, None]:
        queue: asyncio.Queue[ContainerEvent | None] = asyncio.Queue(EVENTS_WAITING_MAX)
        self._readers.add(queue)
        try:
            yield RESYNC
            while not self._closed and (event := await queue.get()) is not None:
                yield event
        finally:
            self._readers.discard(queue)

    async def logs(self, container_id: ContainerId, tail: int | None, follow: bool) -> AsyncGenerator[LogLine, None]:
        container = self._find("logs", container_id)
        told = 0 if tail is None else max(0, len(container.lines) - tail)

        def ended() -> bool:
            return container.seen.state is not ContainerState.RUNNING or self._closed

        def more() -> bool:
            return len(container.lines) > told or ended()

        while True:
            while told < len(container.lines):
                told += 1
                yield container.lines[told - 1]
            if not follow or ended():
                return
            await self._wait_for(more)

    async def execute(self, container_id: ContainerId, argv: tuple[str, ...], timeout_s: float) -> ExecResult:
        container = self._find("execute", container_id)
        if container.seen.state is not ContainerState.RUNNING:
            raise ContainerFailed(f"container {container_id} is not running")
        try:
            return self.exec_handler(container.spec.task, argv)
        except TimeoutError:
            raise ExecTimedOut(argv, timeout_s) from None

    async def usage(self) -> dict[TaskId, Used]:
        self._called("usage", "")
        running = [c.spec.task for c in self.containers.values() if c.seen.state is ContainerState.RUNNING]
        return {task: self.used.get(task, Used(0.0, 0)) for task in running}

    async def stock(self) -> Stock:
        self._called("stock", "")
        return Stock(tuple(sorted(self.images)), tuple(sorted(self.volumes)))

    async def capacity(self) -> Resources:
        self._called("capacity", "")
        return self._capacity

    async def close(self) -> None:
        self._closed = True
        for reader in self._readers:
            reader.put_nowait(None)
        self._wake()

    # how it works

    def _called(self, call: str, about: str) -> None:
        self.calls.append((call, about))
        self._wake()
        if self.unavailable:
            raise RuntimeUnavailable(self.name, self.unavailable)

    def _find(self, call: str, container_id: ContainerId) -> FakeContainer:
        self._called(call, container_id)
        if container_id not in self.containers:
            raise NoSuchContainer(container_id)
        return self.containers[container_id]

    def _endpoints_of(self, container: FakeContainer) -> tuple[Endpoint, ...]:
        task = container.spec.task
        if task in self.endpoints:
            return self.endpoints[task]
        pod = container.spec.pod
        number = self.pods[pod] if pod else container.seen.id.removeprefix("fake-")
        host = f"10.89.0.{number}" if pod else f"10.88.0.{number}"
        return tuple(Endpoint(target_port=port, host=host, port=port) for port in target_ports(container.spec.template))

    def _end(self, container_id: ContainerId, exit_code: int) -> None:
        container = self.containers.get(container_id)
        if container is None or container.seen.state is not ContainerState.RUNNING:
            return
        container.seen = replace(container.seen, state=ContainerState.EXITED, exit_code=exit_code, endpoints=())
        if grace := self._graces.get(container_id):
            grace.set()
        self._emit(ContainerEvent(container_id, container.spec.task, EventKind.EXITED, exit_code))

    def _emit(self, event: ContainerEvent) -> None:
        for reader in self._readers:
            reader.put_nowait(event)
        self._wake()

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _wake(self) -> None:
        """Let whoever waits for a change look again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
