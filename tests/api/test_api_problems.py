"""Whatever goes wrong in a handler, the client gets a problem document."""

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from swarmlet.api.problems import problem_middleware
from swarmlet.drivers.leader_calls import NoLeader
from swarmlet.drivers.sessions import TooManyWrites


async def answer_to(failure: Exception) -> tuple[int, str, dict[str, object], str | None]:
    async def handler(_request: web.Request) -> web.Response:
        raise failure

    app = web.Application(middlewares=[problem_middleware])
    app.router.add_get("/it", handler)
    async with TestClient(TestServer(app)) as client, client.get("/it") as response:
        return response.status, response.content_type, await response.json(), response.headers.get("Retry-After")


async def test_a_fault_of_ours_is_logged_once_and_told_without_its_details() -> None:
    with capture_logs() as logged:
        status, kind, problem, _ = await answer_to(KeyError("the secret key"))

    assert (status, kind) == (500, "application/problem+json")
    assert "secret" not in str(problem) and "KeyError" in str(problem["detail"])
    assert [(line["event"], line["path"]) for line in logged] == [("request_failed", "/it")]


async def test_without_a_leader_the_client_is_told_when_to_try_again() -> None:
    status, kind, problem, retry_after = await answer_to(NoLeader(5.0, ""))

    assert (status, kind, retry_after) == (503, "application/problem+json", "1")
    assert problem["title"] == "No leader"


async def test_only_where_no_leader_was_asked_is_it_certain_that_nothing_was_done() -> None:
    *_, nobody_asked, _ = await answer_to(NoLeader(5.0, ""))
    *_, asked, _ = await answer_to(NoLeader(5.0, "the write is committed, but this peer has not caught up with it"))
    *_, not_begun, _ = await answer_to(TooManyWrites())

    assert (nobody_asked["nothing_done"], not_begun["nothing_done"]) == (True, True)
    assert "nothing_done" not in asked


async def test_a_refusal_of_the_router_is_a_problem_too() -> None:
    status, kind, problem, _ = await answer_to(web.HTTPBadRequest(text="from: 'x' is not a revision"))

    assert (status, kind, problem["detail"]) == (400, "application/problem+json", "from: 'x' is not a revision")


async def test_what_the_router_says_in_headers_is_kept() -> None:
    async def handler(_request: web.Request) -> web.Response:
        raise AssertionError("not to be called")

    app = web.Application(middlewares=[problem_middleware])
    app.router.add_get("/it", handler)
    async with TestClient(TestServer(app)) as client, client.delete("/it") as response:
        assert (response.status, response.content_type) == (405, "application/problem+json")
        assert response.headers["Allow"] == "GET,HEAD"
