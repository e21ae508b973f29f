"""Asking a task for its metrics: over a real connection, and with everything that a task may answer."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from swarmlet.model.autoscale import PrometheusMetric
from swarmlet.model.ids import ServiceId, TaskId
from swarmlet.model.observed import Endpoint, Health, Phase, TaskStatus
from swarmlet.model.spec import TaskTemplate
from swarmlet.model.usage import NodeUsage
from swarmlet.node import scraper
from swarmlet.node.scraper import PAGE_BYTES_MAX, Scraped, Scraper, Target
from swarmlet.node.usage_loop import UsageLoop
from swarmlet.runtime.fake import FakeRuntime
from swarmlet.runtime.interface import ContainerSpec, Used

ONE = TaskId("one")
REQUESTS = PrometheusMetric(port=9100, name="requests_total", target_average=1)
WAITING = PrometheusMetric(port=9100, name="waiting", target_average=1)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Served:
    def __init__(self) -> None:
        self.page = "requests_total 10\nwaiting 3\n"
        self.asked: list[str] = []
        self.handler: Handler = self._answer
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        return await self.handler(request)

    async def _answer(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=self.page)

    def endpoint(self) -> Endpoint:
        return Endpoint(target_port=9100, host="127.0.0.1", port=self.port)

    async def scraped(self, *metrics: PrometheusMetric) -> Scraped:
        made = Scraper()
        try:
            return await made.scrape([Target(ONE, [self.endpoint()], metrics)])
        finally:
            await made.close()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def test_a_page_is_asked_for_once_for_all_its_metrics(served: Served) -> None:
    other = WAITING.model_copy(update={"path": "/other"})

    found = await served.scraped(REQUESTS, WAITING, other)

    assert {key: sum(reading.series.values()) for (_, key), reading in found.readings.items()} == {
        REQUESTS.key: 10,
        WAITING.key: 3,
        other.key: 3,
    }
    assert sorted(served.asked) == ["/metrics", "/other"]
    assert found.problems == {}


async def test_one_unreadable_metric_does_not_hide_the_others(served: Served) -> None:
    served.page = "waiting 3\n"

    found = await served.scraped(REQUESTS, WAITING)

    assert [key for _, key in found.readings] == [WAITING.key]
    assert found.problems == {ONE: "there is no requests_total"}


async def refuse(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=404)


async def send_elsewhere(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/metrics2")


async def say_far_too_much(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(PAGE_BYTES_MAX // 65_536 + 2):
        await response.write(b"x" * 65_536)
    return response


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (refuse, "GET /metrics on port 9100 answered 404"),
        (send_elsewhere, "GET /metrics on port 9100 answered 302"),
        (say_far_too_much, "GET /metrics answered more than 1 MiB"),
    ],
)
async def test_what_a_task_answers_instead_is_said(served: Served, handler: Handler, problem: str) -> None:
    served.handler = handler

    found = await served.scraped(REQUESTS)

    assert (found.readings, found.problems) == ({}, {ONE: problem})


async def test_a_task_that_does_not_answer_costs_no_more_than_the_deadline(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraper, "DEADLINE_S", 0.05)

    async def never(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not request.transport.is_closing():  # type: ignore[union-attr]
            await response.write(b"#\n")
        return response

    served.handler = never

    assert "no answer on port 9100" in (await served.scraped(REQUESTS)).problems[ONE]


async def test_a_closed_port_and_one_without_an_address(served: Served) -> None:
    served.port = 1

    assert (await served.scraped(REQUESTS)).problems[ONE].startswith("port 9100: Cannot connect")
    elsewhere = REQUESTS.model_copy(update={"port": 9999})
    assert (await served.scraped(elsewhere)).problems == {ONE: "port 9999 has no address yet"}


async def test_a_look_publishes_the_metrics_of_watched_tasks(served: Served) -> None:
    runtime = FakeRuntime()
    now, published = [0.0], []
    spec = ContainerSpec(ONE, ServiceId("demo.web"), "one", TaskTemplate(image="web:1"))
    await runtime.start(await runtime.create(spec))
    runtime.used[ONE] = Used(1.0, 1 << 20)
    status = TaskStatus(
        task=ONE,
        service=ServiceId("demo.web"),
        revision="r",
        phase=Phase.RUNNING,
        health=Health.HEALTHY,
        endpoints=(served.endpoint(),),
    )
    loop = UsageLoop(runtime, lambda: {ONE: status}, dict, lambda: 3, published.append, lambda: now[0])

    for at in (0, 5):
        now[0] = at
        served.page = f"requests_total {at * 4}\nwaiting 3\n"
        await loop.look({ONE: (REQUESTS, WAITING)})
    await loop.close()

    assert published == [NodeUsage(tasks={ONE: (0, 1024)}, metrics={ONE: {REQUESTS.key: 4.0, WAITING.key: 3.0}})]
