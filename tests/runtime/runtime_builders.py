"""Small builders for runtime tests, and one world per runtime so that the same test runs on all three."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from swarmlet.model.ids import ServiceId, TaskId
from swarmlet.model.spec import PublishedPort, TaskTemplate
from swarmlet.runtime.interface import (
    Container,
    ContainerEvent,
    ContainerId,
    ContainerSpec,
    EventKind,
    LogLine,
    Runtime,
)

DEADLINE_S = 20.0
_numbers = itertools.count(1)


@dataclass(slots=True)
class World:
    """A runtime and what a test needs to make its containers do things."""

    kind: str
    runtime: Runtime
    image: str
    another: Callable[[], Runtime]
    """A second runtime of the same node, as after an agent's restart."""
    stranger: Callable[[], Runtime]
    """A runtime of another cluster on the same machine."""
    says: Callable[[TaskId, str], None]
    """Only the fake's containers need to be told what to print; elsewhere their command does it."""
    ends: Callable[[TaskId, int], None]
    ignores_sigterm: Callable[[TaskId], None]


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def a_spec(world: World, script: str = "exec sleep 600", ports: tuple[int, ...] = (), **template: Any) -> ContainerSpec:
    number = next(_numbers)
    published = tuple(PublishedPort(target=port, published=port) for port in ports)
    wanted = {"image": world.image, "command": shell(script), "ports": published, **template}
    task = TaskId(f"task{number:04d}")
    return ContainerSpec(task, ServiceId("demo.web"), f"swarmlet-demo.web-{task}", TaskTemplate(**wanted))


async def started(world: World, spec: ContainerSpec) -> ContainerId:
    await world.runtime.ensure_image(spec.template.image)
    container_id = await world.runtime.create(spec)
    await world.runtime.start(container_id)
    return container_id


async def seen(runtime: Runtime, container_id: ContainerId) -> Container:
    return next(container for container in await runtime.list() if container.id == container_id)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition; `TimeoutError` when it doesn't come true in time."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


async def next_event(
    events: AsyncGenerator[ContainerEvent, None], kind: EventKind, container_id: ContainerId
) -> ContainerEvent:
    async with asyncio.timeout(DEADLINE_S):
        async for event in events:
            if event.kind is kind and event.container_id == container_id:
                return event
    raise AssertionError("the events ended")


async def all_lines(runtime: Runtime, container_id: ContainerId, tail: int | None = None) -> list[LogLine]:
    async with asyncio.timeout(DEADLINE_S), aclosing(runtime.logs(container_id, tail, follow=False)) as lines:
        return [line async for line in lines]


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]
