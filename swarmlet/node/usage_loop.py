"""Measures what this node's tasks use, and publishes it when it is worth telling.

Often while something is scaled by it, seldom otherwise: an agent at rest has to stay below a hundredth of a processor.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from swarmlet.model.ids import TaskId
from swarmlet.model.observed import TaskStatus
from swarmlet.model.usage import NodeUsage
from swarmlet.node.usage_meter import UsageMeter
from swarmlet.node.usage_news import UsageNews
from swarmlet.runtime.interface import ContainerRuntimeError, Runtime

FAST_S = 5.0
SLOW_S = 15.0

log = structlog.get_logger()


class UsageLoop:
    def __init__(
        self,
        runtime: Runtime,
        statuses: Callable[[], Mapping[TaskId, TaskStatus]],
        nodes: Callable[[], int],
        publish: Callable[[NodeUsage], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtime, self._statuses, self._nodes = runtime, statuses, nodes
        self._publish, self._clock = publish, clock
        self._meter, self._news = UsageMeter(), UsageNews()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SLOW_S)
            await self.look()

    async def look(self) -> None:
        """One sample, and what follows from it. Without tasks nothing is asked for."""
        statuses = self._statuses()
        try:
            used = await self._runtime.usage() if statuses else {}
        except ContainerRuntimeError as error:
            log.info("usage_not_measured", error=str(error))
            return
        now = self._clock()
        self._meter.take(used, {task for task, status in statuses.items() if status.ready}, now)
        found = NodeUsage(tasks=self._meter.figures())
        if self._news.worth_telling(found, frozenset(), self._nodes(), now):
            self._publish(found)
