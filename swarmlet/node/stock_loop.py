"""Looks what this node has already, images and volumes, and says so when that has changed.

Seldom: it only breaks ties between nodes, and an agent at rest has to stay below a hundredth of a processor. Soon after
something happened to the node's tasks, which is when its stock changes.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from swarmlet.model.stock import bounded, image_key, volume_key
from swarmlet.runtime.interface import ContainerRuntimeError, Runtime

POLL_S = 10.0
SLOW_S = 300.0

log = structlog.get_logger()

StockKeys = tuple[tuple[str, ...], tuple[str, ...]]
"""Keys of images, and of volumes."""


class StockLoop:
    def __init__(
        self,
        runtime: Runtime,
        changes: Callable[[], int],
        publish: Callable[[StockKeys], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`changes`: how often anything has happened to a task here."""
        self._runtime, self._changes, self._publish, self._clock = runtime, changes, publish, clock
        self._told: StockKeys = ((), ())
        self._seen: int | None = None
        self._looked_at = 0.0

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(POLL_S)

    async def look(self) -> None:
        """Nothing is asked where nothing happened since the last look, unless that is long ago."""
        changes, now = self._changes(), self._clock()
        if changes == self._seen and now < self._looked_at + SLOW_S:
            return
        try:
            stock = await self._runtime.stock()
        except ContainerRuntimeError as error:
            log.info("stock_not_known", reason=str(error))
            return
        self._seen, self._looked_at = changes, now
        found = bounded(map(image_key, stock.images)), bounded(map(volume_key, stock.volumes))
        if found != self._told:
            self._told = found
            self._publish(found)
