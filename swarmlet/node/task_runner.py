"""Carries one task through: feeds its machine, carries out its effects, wakes it when it asked to be.

The machine is stepped synchronously wherever an event comes from, so there is no queue that could fill up or fall
behind. Each operation and each probe is an asyncio task of the node loop's group, with a deadline; a cancelled
node loop cancels them and nothing else: containers keep running.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import structlog

from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.objects import Task
from swarmlet.model.observed import TaskStatus
from swarmlet.node.devices import Devices
from swarmlet.node.images import Images
from swarmlet.node.inventory import Inventory
from swarmlet.node.probes import run_probe
from swarmlet.node.settings import NodeSettings
from swarmlet.node.task_events import (
    Assigned,
    CancelOperation,
    Create,
    Created,
    Effect,
    EnsureImage,
    Event,
    Failure,
    Finished,
    ImageReady,
    Inspect,
    Inspected,
    OperationEffect,
    OperationFailed,
    Publish,
    Remove,
    RemoveReturned,
    RunProbe,
    Start,
    StartReturned,
    Stop,
    StopReturned,
    Woken,
)
from swarmlet.node.task_machine import TaskMachine
from swarmlet.runtime.interface import (
    ContainerFailed,
    ContainerId,
    ContainerRuntimeError,
    ContainerSpec,
    ImageUnavailable,
    Runtime,
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all task runners of a node share."""

    node_id: NodeId
    node_name: str
    runtime: Runtime
    inventory: Inventory
    images: Images
    devices: Devices
    settings: NodeSettings
    clock: Callable[[], float]
    group: asyncio.TaskGroup
    publish: Callable[[TaskId, TaskStatus | None], None]
    """Must not feed a runner from inside the call."""
    finished: Callable[[TaskId], None]


class TaskRunner:
    def __init__(self, task_id: TaskId, around: Surroundings, drain_s: float, absent: bool) -> None:
        self.task: Task | None = None
        self._around = around
        self._machine = TaskMachine(task_id, around.settings, drain_s, absent)
        self._operation: asyncio.Task[None] | None = None
        self._probes: dict[bool, asyncio.Task[None]] = {}
        """Those that are out: of health, and of readiness (True)."""
        self._stepping = False
        self._stepped = asyncio.Event()

    @property
    def container(self) -> ContainerId | None:
        return self._machine.container

    def assign(self, task: Task | None) -> None:
        if task is not self.task and task != self.task:
            self.task = task
            self.feed(Assigned(task))

    def feed(self, event: Event) -> None:
        if self._machine.finished:
            return  # a late word about something that is gone
        assert not self._stepping, "fed from inside an effect"
        self._stepping = True
        try:
            for effect in self._machine.step(event, self._around.clock()):
                self._carry_out(effect)
        finally:
            self._stepping = False
        self._stepped.set()

    async def run(self) -> None:
        """Wakes the machine in time, until nothing is left of the task."""
        while not self._machine.finished:
            self._stepped.clear()
            wake_at = self._machine.wake_at
            try:
                async with asyncio.timeout(None if wake_at is None else max(0.0, wake_at - self._around.clock())):
                    await self._stepped.wait()
            except TimeoutError:
                self.feed(Woken())

    def _carry_out(self, effect: Effect) -> None:
        task_id, group = self._machine.task_id, self._around.group
        match effect:
            case Publish():
                self._around.publish(task_id, effect.status)
            case RunProbe():
                if (former := self._probes.get(effect.readiness)) is not None:
                    former.cancel()
                self._probes[effect.readiness] = group.create_task(self._run_probe(effect))
            case CancelOperation():
                assert self._operation is not None
                self._operation.cancel()
                self._operation = None
            case Finished():
                for probe in self._probes.values():
                    probe.cancel()
                self._around.finished(task_id)
            case _:
                self._operation = group.create_task(self._perform(effect))

    async def _run_probe(self, request: RunProbe) -> None:
        answer = await run_probe(request, self._around.runtime, self._around.settings.query_timeout_s)
        if self._probes.get(request.readiness) is asyncio.current_task():
            del self._probes[request.readiness]
            self.feed(answer)

    async def _perform(self, operation: OperationEffect) -> None:
        answer = await self._answer(operation)
        if self._operation is asyncio.current_task():  # not called back in the meantime
            self._operation = None
            self.feed(answer)

    async def _answer(self, operation: OperationEffect) -> Event:
        limit_s = self._limit_s(operation)
        try:
            async with asyncio.timeout(limit_s):
                return await self._call(operation)
        except ImageUnavailable as missing:
            self._around.images.doubt(missing.image)
            return OperationFailed(Failure.IMAGE, str(missing))
        except ContainerFailed as refused:
            return OperationFailed(Failure.REFUSED, str(refused))
        except ContainerRuntimeError as failed:
            return OperationFailed(Failure.UNCERTAIN, str(failed))
        except TimeoutError:
            name = type(operation).__name__
            log.warning("runtime_call_timed_out", call=name, task=self._machine.task_id, timeout_s=limit_s)
            return OperationFailed(
                Failure.UNCERTAIN, f"{self._around.runtime.name} did not answer within {limit_s:g} s ({name})"
            )
        except Exception as unforeseen:
            # A defect in a runtime must not take the other tasks down with it.
            log.exception("runtime_call_failed", call=type(operation).__name__, task=self._machine.task_id)
            return OperationFailed(Failure.UNCERTAIN, f"{type(unforeseen).__name__}: {unforeseen}")

    async def _call(self, operation: OperationEffect) -> Event:
        runtime = self._around.runtime
        match operation:
            case EnsureImage():
                await self._around.images.ensure(operation.image, operation.policy)
                return ImageReady()
            case Create():
                return Created(await self._around.devices.create(self._spec(operation.task), operation.task.devices))
            case Start():
                await runtime.start(operation.container)
                return StartReturned()
            case Stop():
                await runtime.stop(operation.container, operation.grace_s)
                return StopReturned()
            case Remove():
                await runtime.remove(operation.container)
                return RemoveReturned()
            case Inspect():
                listing = await self._around.inventory.look()
                return Inspected(listing.containers.get(self._machine.task_id))
            case _:
                assert_never(operation)

    def _limit_s(self, operation: OperationEffect) -> float:
        settings = self._around.settings
        match operation:
            case EnsureImage():
                return settings.image_timeout_s
            case Create() | Start():
                return settings.call_timeout_s
            case Stop():
                return operation.grace_s + settings.call_timeout_s
            case Remove():
                return settings.call_timeout_s
            case Inspect():
                return 3 * settings.query_timeout_s  # the one that runs, the one it waits for, and a margin
            case _:
                assert_never(operation)

    def _spec(self, task: Task) -> ContainerSpec:
        return ContainerSpec(
            task=task.id,
            service=task.service,
            name=f"swarmlet-{task.service}-{task.id}",
            template=task.template,
            pod=_pod(task),
            environment={
                "SWARMLET_TASK": task.id,
                "SWARMLET_SERVICE": task.service,
                "SWARMLET_SLOT": str(task.slot),
                "SWARMLET_NODE": self._around.node_id,
                "SWARMLET_NODE_NAME": self._around.node_name,
                **({"SWARMLET_RUN": task.run} if task.run else {}),
            },
        )


def _pod(task: Task) -> str:
    """The same for all tasks on one node that share a network; a service's name has its stack's before a dot."""
    stack = task.service.partition(".")[0]
    return f"swarmlet-pod-{stack}.{task.template.pod}-{task.slot}" if task.template.pod else ""
