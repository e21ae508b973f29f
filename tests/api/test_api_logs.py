"""A task's log over HTTP: whole lines, a refusal before it begins, and no end where it breaks off."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError
from aiohttp.test_utils import TestClient
from api_builders import NODE, a_peer, an_api
from structlog.testing import capture_logs

from swarmlet.api.peer import Logs, Peer
from swarmlet.model.ids import ServiceId, TaskId
from swarmlet.model.objects import Task
from swarmlet.model.spec import TaskTemplate
from swarmlet.model.transaction import Transaction, put
from swarmlet.node.errors import NoContainerYet
from swarmlet.runtime.interface import LogLine
from swarmlet.transport import PeerUnavailable

TEMPLATE = TaskTemplate(image="web:1")
TASK = Task(
    id=TaskId("t1"), service=ServiceId("shop.web"), slot=1, node=NODE, revision=TEMPLATE.revision(), template=TEMPLATE,
    created_at=900.0,
)  # fmt: skip
LINE = LogLine(at=1.0, stream="stdout", text="hello")


async def with_task(peer: Peer, logs: Logs) -> AbstractAsyncContextManager[TestClient]:  # type: ignore[type-arg]
    await peer.consensus.submit(Transaction((), (put(TASK.key, TASK),)))
    return an_api(replace(peer, logs=logs))


def failing(error: Exception, *lines: LogLine) -> Logs:
    async def logs(_task: Task, _tail: int | None, _follow: bool) -> AsyncGenerator[LogLine, None]:
        for line in lines:
            yield line
        raise error

    return logs


@pytest.mark.parametrize("failure", [PeerUnavailable(NODE, "gone"), ValueError("a fault of ours")])
async def test_a_log_that_breaks_off_has_no_end(tmp_path: Path, failure: Exception) -> None:
    async with a_peer(tmp_path) as peer, await with_task(peer, failing(failure, LINE, LINE)) as api:
        with capture_logs() as logged:
            async with api.get("/v1/tasks/t1/logs") as response:
                with pytest.raises(ClientPayloadError):
                    await response.read()

    assert response.status == 200
    assert [line["event"] for line in logged] == ["answer_broke_off"]


async def test_what_fails_before_the_first_line_is_a_problem_document(tmp_path: Path) -> None:
    async with (
        a_peer(tmp_path) as peer,
        await with_task(peer, failing(NoContainerYet(TASK.id, "it is being pulled"))) as api,
    ):
        response = await api.get("/v1/tasks/t1/logs")

        assert (response.status, response.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", (None, False)),
        ("?follow=0&tail=0", (0, False)),
        ("?follow=false", (None, False)),
        ("?follow=1&tail=20", (20, True)),
        ("?follow=true", (None, True)),
    ],
)
async def test_it_is_followed_and_cut_as_asked_for(tmp_path: Path, query: str, asked: tuple[int | None, bool]) -> None:
    seen: list[tuple[int | None, bool]] = []

    async def logs(_task: Task, tail: int | None, follow: bool) -> AsyncGenerator[LogLine, None]:
        seen.append((tail, follow))
        yield LINE

    async with a_peer(tmp_path) as peer, await with_task(peer, logs) as api:
        assert (await api.get(f"/v1/tasks/t1/logs{query}")).status == 200

    assert seen == [asked]


@pytest.mark.parametrize(
    ("query", "named"), [("follow=yes", "follow"), ("follow=", "follow"), ("tail=%C2%B2", "tail"), ("tail=-1", "tail")]
)
async def test_a_query_that_is_none_says_what_to_write(tmp_path: Path, query: str, named: str) -> None:
    async with a_peer(tmp_path) as peer, await with_task(peer, failing(ValueError("not to be asked"))) as api:
        response = await api.get(f"/v1/tasks/t1/logs?{query}")

        assert response.status == 400
        assert (await response.json())["detail"].startswith(f"{named} is ")
