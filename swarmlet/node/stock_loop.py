"""Looks what this node has already, images and volumes, and says so when that has changed.

Seldom: it only breaks ties between nodes, and an agent at rest has to stay below a hundredth of a processor. Soon after
the node got or lost tasks, which is when its stock changes.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from swarmlet.model.ids import TaskId
from swarmlet.model.observed import TaskStatus
from swarmlet.model.stock import bounded, image_key, volume_key
from swarmlet.runtime.interface import ContainerRuntimeError, Runtime

POLL_S = 10.0
SLOW_S = 300.0

log = structlog.get_logger()

Stock = tuple[tuple[str, ...], tuple[str, ...]]
"""Keys of images, and of volumes."""


class StockLoop:
    def __init__(
        self,
        runtime: Runtime,
        statuses: Callable[[], Mapping[TaskId, TaskStatus]],
        publish: Callable[[Stock], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtime, self._statuses, self._publish, self._clock = runtime, statuses, publish, clock
        self._told: Stock = ((), ())
        self._tasks: frozenset[TaskId] | None = None
        self._looked_at = 0.0

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(POLL_S)

    async def look(self) -> None:
        """Nothing is asked where nothing happened since the last look, unless that is long ago."""
        tasks, now = frozenset(self._statuses()), self._clock()
        if tasks == self._tasks and now < self._looked_at + SLOW_S:
            return
        try:
            stock = await self._runtime.stock()
        except ContainerRuntimeError as error:
            log.info("stock_not_known", reason=str(error))
            return
        self._tasks, self._looked_at = tasks, now
        found = bounded(map(image_key, stock.images)), bounded(map(volume_key, stock.volumes))
        if found != self._told:
            self._told = found
            self._publish(found)
