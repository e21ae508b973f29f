"""Asks this node's tasks for their own metrics over HTTP: with a deadline, a limit of size, no redirect, no cookie.

A page that several metrics are on is asked for once. What fails is told in words, and counts as no figure.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

from swarmlet.model.autoscale import PrometheusMetric
from swarmlet.model.ids import TaskId
from swarmlet.model.observed import Address, Endpoint
from swarmlet.node.metric_meter import Name
from swarmlet.node.metric_text import MetricUnreadable, Reading, read_metric

DEADLINE_S = 2.0
PAGE_BYTES_MAX = 1 << 20
AT_ONCE_MAX = 16
PROBLEM_CHARS_MAX = 100
"""It is gossiped with the figures."""
HEADERS = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity", "User-Agent": "swarmlet"}


@dataclass(slots=True)
class Scraped:
    readings: dict[Name, Reading] = field(default_factory=dict)
    problems: dict[TaskId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A ready task, where it answers, and what it is asked for."""

    task: TaskId
    endpoints: Sequence[Endpoint]
    metrics: Sequence[PrometheusMetric]


class Scraper:
    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)

    async def scrape(self, targets: Sequence[Target]) -> Scraped:
        found = Scraped()
        if targets:
            await asyncio.gather(*(self._task(target, found) for target in targets))
        return found

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _task(self, target: Target, found: Scraped) -> None:
        pages: dict[tuple[int, str], list[PrometheusMetric]] = {}
        for metric in target.metrics:
            pages.setdefault((metric.port, metric.path), []).append(metric)
        for (port, path), metrics in pages.items():
            try:
                async with self._slots:
                    page = await self._page(target.endpoints, port, path)
                # Off the event loop: a large page takes its time.
                readings, problem = await asyncio.to_thread(_read, page, metrics)
            except MetricUnreadable as error:
                readings, problem = {}, str(error)
            found.readings |= {(target.task, key): reading for key, reading in readings.items()}
            if problem:
                found.problems.setdefault(target.task, problem[:PROBLEM_CHARS_MAX])

    async def _page(self, endpoints: Sequence[Endpoint], port: int, path: str) -> str:
        endpoint = next((each for each in endpoints if each.target_port == port), None)
        if endpoint is None:
            raise MetricUnreadable(f"port {port} has no address yet")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=HEADERS,
                timeout=aiohttp.ClientTimeout(total=DEADLINE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(force_close=True, limit=AT_ONCE_MAX),
                auto_decompress=False,
            )
        try:
            url = f"http://{Address(endpoint.host, endpoint.port)}{path}"
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise MetricUnreadable(f"GET {path} on port {port} answered {response.status}")
                return (await _content(response, path)).decode(errors="replace")
        except TimeoutError:
            raise MetricUnreadable(f"no answer on port {port} within {DEADLINE_S:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise MetricUnreadable(f"port {port}: {error}") from None


async def _content(response: aiohttp.ClientResponse, path: str) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > PAGE_BYTES_MAX:
            raise MetricUnreadable(f"GET {path} answered more than {PAGE_BYTES_MAX >> 20} MiB")
    return bytes(content)


def _read(page: str, metrics: Sequence[PrometheusMetric]) -> tuple[Mapping[str, Reading], str]:
    readings: dict[str, Reading] = {}
    problem = ""
    for metric in metrics:
        try:
            readings[metric.key] = read_metric(page, metric)
        except MetricUnreadable as error:
            problem = problem or str(error)
    return readings, problem
