"""Measures what this node's tasks use, and publishes it when it is worth telling.

Often while something is scaled by it, seldom otherwise: an agent at rest has to stay below a hundredth of a processor.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from swarmlet.model.autoscale import PrometheusMetric
from swarmlet.model.ids import TaskId
from swarmlet.model.observed import TaskStatus
from swarmlet.model.usage import NodeUsage
from swarmlet.node.metric_meter import MetricMeter
from swarmlet.node.scraper import Scraper, Target
from swarmlet.node.usage_meter import UsageMeter
from swarmlet.node.usage_news import UsageNews
from swarmlet.runtime.interface import ContainerRuntimeError, Runtime

FAST_S = 5.0
SLOW_S = 15.0

log = structlog.get_logger()

Watched = Mapping[TaskId, tuple[PrometheusMetric, ...]]
"""This node's tasks that are scaled by what they use, with the metrics to ask them for."""


class UsageLoop:
    def __init__(
        self,
        runtime: Runtime,
        statuses: Callable[[], Mapping[TaskId, TaskStatus]],
        watched: Callable[[], Watched],
        nodes: Callable[[], int],
        publish: Callable[[NodeUsage], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtime, self._statuses, self._watched, self._nodes = runtime, statuses, watched, nodes
        self._publish, self._clock = publish, clock
        self._meter, self._metrics, self._news = UsageMeter(), MetricMeter(), UsageNews()
        self._scraper = Scraper()

    async def run(self) -> None:
        looked_at = self._clock()
        try:
            while True:
                began = self._clock()
                watched = self._watched()
                if watched or began >= looked_at + SLOW_S:
                    looked_at = began
                    await self.look(watched)
                await asyncio.sleep(max(0.0, began + FAST_S - self._clock()))
        finally:
            await self.close()

    async def look(self, watched: Watched) -> None:
        """One sample, and what follows from it. Without tasks nothing is asked for."""
        statuses = self._statuses()
        ready = {task: status for task, status in statuses.items() if status.ready}
        try:
            used = await self._runtime.usage() if statuses else {}
        except ContainerRuntimeError as error:
            log.info("usage_not_measured", error=str(error))
            return
        now = self._clock()
        self._meter.take(used, ready.keys(), now)
        figures = self._meter.figures()
        scraped = await self._scraper.scrape(
            [Target(task, ready[task].endpoints, metrics) for task, metrics in watched.items() if task in ready]
        )
        metrics: dict[TaskId, dict[str, float]] = {}
        for (task, key), value in self._metrics.take(scraped.readings, self._clock()).items():
            metrics.setdefault(task, {})[key] = value
        found = NodeUsage(
            tasks=figures,
            metrics={task: values for task, values in sorted(metrics.items()) if task in figures},
            problems={task: problem for task, problem in sorted(scraped.problems.items()) if task in figures},
        )
        if self._news.worth_telling(found, watched.keys(), self._nodes(), now):
            self._publish(found)

    async def close(self) -> None:
        await self._scraper.close()
