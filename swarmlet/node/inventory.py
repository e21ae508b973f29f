"""Listings of what the engine has, shared: however many tasks want to look, one listing runs at a time.

Rule: a listing answers only those who asked before it began, since it may be older than what a later asker did.
So at most one runs and one waits. Each has a deadline; its error goes to all who wait for it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from swarmlet.model.ids import TaskId
from swarmlet.runtime.interface import Container, ContainerState, Runtime


@dataclass(frozen=True, slots=True)
class Listing:
    asked_at: float
    containers: Mapping[TaskId, Container]


class Inventory:
    def __init__(self, runtime: Runtime, clock: Callable[[], float], timeout_s: float) -> None:
        self._runtime = runtime
        self._clock = clock
        self._timeout_s = timeout_s
        self._running: asyncio.Task[Listing] | None = None
        self._waiting: asyncio.Task[Listing] | None = None

    async def look(self) -> Listing:
        """What there is now or later. Raises the runtime's errors and `TimeoutError`."""
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_task(self._list_after(self._running))
            self._waiting.add_done_callback(_retrieve)
        return await asyncio.shield(self._waiting)

    async def close(self) -> None:
        unfinished = [task for task in (self._running, self._waiting) if task is not None]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _list_after(self, running: asyncio.Task[Listing] | None) -> Listing:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._waiting = self._waiting, None
        asked_at = self._clock()
        async with asyncio.timeout(self._timeout_s):
            found = await self._runtime.list()
        # The running one last: should there ever be two, that one is the task's.
        found.sort(key=lambda container: container.state is ContainerState.RUNNING)
        return Listing(asked_at, {container.task: container for container in found})


def _retrieve(task: asyncio.Task[Listing]) -> None:
    """Those who waited got the error; when all of them were cancelled nobody needs it."""
    if not task.cancelled():
        task.exception()
