"""A node's own loop: the tasks assigned to it against what its runtime has. Level-triggered.

Rules:
- Nothing is done before `desired` was called once: without the tasks, every container would look like an orphan.
- Each task goes its own way (`TaskRunner`); a slow pull or a hanging engine call holds up no other task.
- The engine's event stream gives speed, listings give certainty: one follows each RESYNC and each `resync_s`, is
  compared with what every task knows, and shows containers that belong to no task.
- A cancelled `run` stops watching. Containers keep running, and the next start adopts them by their labels.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType

import structlog

from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.objects import Task
from swarmlet.model.observed import Health, Phase, TaskStatus
from swarmlet.node.devices import Devices, Offered
from swarmlet.node.errors import NoContainerYet, UnknownTask
from swarmlet.node.images import Images
from swarmlet.node.inventory import Inventory, Listing
from swarmlet.node.settings import NodeSettings
from swarmlet.node.task_events import ExitSeen, Found, Leased, StartSeen
from swarmlet.node.task_runner import Surroundings, TaskRunner
from swarmlet.runtime.interface import ContainerEvent, ContainerRuntimeError, EventKind, LogLine, Runtime

log = structlog.get_logger()

DEFAULTS = NodeSettings()
NO_DEVICES: Offered = MappingProxyType({})


class NodeLoop:
    def __init__(
        self,
        node_id: NodeId,
        node_name: str,
        runtime: Runtime,
        publish: Callable[[TaskId, TaskStatus | None], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        drain_s: float = 1.0,
        settings: NodeSettings = DEFAULTS,
        devices: Offered = NO_DEVICES,
    ) -> None:
        self._node_id = node_id
        self._node_name = node_name
        self._runtime = runtime
        self._publish_out = publish
        self._clock = clock
        self._wall = wall
        self._drain_s = drain_s
        self._settings = settings
        self._devices = devices
        self._desired: dict[TaskId, Task] | None = None
        self._desired_changed = asyncio.Event()
        self._look_wanted = asyncio.Event()
        self._listed = False
        self._runners: dict[TaskId, TaskRunner] = {}
        self._statuses: dict[TaskId, TaskStatus] = {}
        self._leases: dict[TaskId, float] = {}
        self._around: Surroundings | None = None
        self.changes = 0
        """How often a task here has come to another phase or health."""

    def desired(self, tasks: Sequence[Task]) -> None:
        """All tasks assigned to this node, as the cluster now wants them. Returns at once."""
        foreign = [task.id for task in tasks if task.node != self._node_id]
        assert not foreign, f"tasks of other nodes: {foreign}"
        self._desired = {task.id: task for task in tasks}
        self._desired_changed.set()

    def leased(self, task: TaskId, for_s: float) -> None:
        """An exclusive task may run for so long from now. Returns at once."""
        self._leases[task] = self._clock() + for_s
        if (runner := self._runners.get(task)) is not None:
            runner.feed(Leased(self._leases[task]))

    def _assigned(self) -> Iterable[Task]:
        return (self._desired or {}).values()

    def statuses(self) -> Mapping[TaskId, TaskStatus]:
        return MappingProxyType(self._statuses)

    def task_logs(self, task: TaskId, tail: int | None, follow: bool) -> AsyncGenerator[LogLine, None]:
        """Also of a task that has ended, as long as its object is kept. Raises `UnknownTask`, `NoContainerYet`."""
        runner = self._runners.get(task)
        if runner is None:
            raise UnknownTask(task)
        if runner.container is None:
            status = self._statuses.get(task)
            raise NoContainerYet(task, status.message if status else "")
        return self._runtime.logs(runner.container, tail, follow)

    async def run(self) -> None:
        assert self._around is None, "a node loop runs once"
        inventory = Inventory(self._runtime, self._clock, self._settings.query_timeout_s)
        images = Images(self._runtime, self._clock, self._settings.image_timeout_s)
        try:
            async with asyncio.TaskGroup() as group:
                self._around = Surroundings(
                    node_id=self._node_id,
                    node_name=self._node_name,
                    runtime=self._runtime,
                    inventory=inventory,
                    images=images,
                    devices=Devices(self._devices, self._runtime, inventory, self.statuses, self._assigned),
                    settings=self._settings,
                    clock=self._clock,
                    group=group,
                    publish=self._publish,
                    finished=self._forget,
                )
                group.create_task(self._keep_assigned())
                group.create_task(self._keep_listing(inventory))
                group.create_task(self._follow_events())
        finally:
            await inventory.close()
            await images.close()

    # desired tasks -> runners

    async def _keep_assigned(self) -> None:
        while True:
            await self._desired_changed.wait()
            first = not self._listed
            self._assign()
            if first:
                self._look_wanted.set()

    def _assign(self) -> None:
        self._desired_changed.clear()
        desired = self._desired
        assert desired is not None
        for task_id, task in desired.items():
            # Once listed, each container has its runner: a task without one has no container.
            runner = self._runners.get(task_id) or self._spawn(task_id, absent=self._listed)
            runner.assign(task)
        for task_id in [known for known in self._runners if known not in desired]:
            self._runners[task_id].assign(None)

    def _spawn(self, task_id: TaskId, absent: bool) -> TaskRunner:
        assert self._around is not None
        runner = TaskRunner(task_id, self._around, self._drain_s, absent)
        self._runners[task_id] = runner
        if (until := self._leases.get(task_id)) is not None:
            runner.feed(Leased(until))
        self._around.group.create_task(runner.run())
        return runner

    def _forget(self, task_id: TaskId) -> None:
        del self._runners[task_id]
        self._leases.pop(task_id, None)
        if self._desired and task_id in self._desired:
            self._desired_changed.set()  # wanted again in the very moment it went

    # the engine -> runners

    async def _keep_listing(self, inventory: Inventory) -> None:
        failures = 0
        while True:
            delay_s = self._settings.resync_s if failures == 0 else self._settings.engine.delay_s(failures)
            try:
                async with asyncio.timeout(delay_s):
                    await self._look_wanted.wait()
            except TimeoutError:
                pass
            self._look_wanted.clear()
            if self._desired is None:
                continue
            try:
                listing = await inventory.look()
            except (ContainerRuntimeError, TimeoutError) as unavailable:
                failures += 1
                log.warning("runtime_listing_failed", attempt=failures, reason=str(unavailable) or "no answer in time")
                continue
            failures = 0
            self._compare(listing)

    def _compare(self, listing: Listing) -> None:
        self._assign()  # a container whose task has only just arrived is no orphan
        for task_id, container in listing.containers.items():
            if task_id not in self._runners:
                log.info("orphan_found", task=task_id, container=container.id, state=container.state.value)
                self._spawn(task_id, absent=False)
        self._listed = True
        for task_id, runner in list(self._runners.items()):
            runner.feed(Found(listing.containers.get(task_id), listing.asked_at))

    async def _follow_events(self) -> None:
        while True:
            async with aclosing(self._runtime.events()) as events:
                async for event in events:
                    self._take(event)
            # It ended, which only a closed runtime does; be patient and let listings find it out.
            await asyncio.sleep(self._settings.engine.first_s)

    def _take(self, event: ContainerEvent) -> None:
        if event.kind is EventKind.RESYNC:
            self._look_wanted.set()
            return
        runner = self._runners.get(event.task)
        if runner is None:
            if event.kind is EventKind.STARTED:
                self._look_wanted.set()  # whose is it? a listing tells, and finds an orphan at once
            return
        match event.kind:
            case EventKind.STARTED:
                runner.feed(StartSeen(event.container_id))
            case EventKind.EXITED:
                runner.feed(ExitSeen(event.container_id, event.exit_code))

    # runners -> the rest of the agent

    def _publish(self, task_id: TaskId, status: TaskStatus | None) -> None:
        before = self._statuses.get(task_id)
        if status is None:
            self._statuses.pop(task_id, None)
        else:
            changed = before is None or _standing(before) != _standing(status)
            changed_at = self._wall() if before is None or changed else before.changed_at
            status = status.model_copy(update={"changed_at": changed_at})
            self._statuses[task_id] = status
            if changed:
                self.changes += 1
                log.info(
                    "task_status",
                    task=task_id,
                    service=status.service,
                    phase=status.phase.value,
                    health=status.health.value,
                    message=status.message,
                )
        self._publish_out(task_id, status)


def _standing(status: TaskStatus) -> tuple[Phase, Health, bool]:
    return status.phase, status.health, status.unready
