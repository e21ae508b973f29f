"""Listings of one stack, service or node: what is there, and 404 for a name that nobody has."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from api_builders import NODE, a_peer, an_api
from typer.testing import CliRunner

from swarmlet.cli.client import ApiError
from swarmlet.cli.main import app
from swarmlet.model.ids import ServiceId, TaskId
from swarmlet.model.objects import Desired, Node, NodeStatus, Task
from swarmlet.model.spec import TaskTemplate
from swarmlet.model.transaction import Transaction, put

Client = TestClient  # type: ignore[type-arg]

COMPOSE = "services:\n  web: {image: web:1}\n"
TEMPLATE = TaskTemplate(image="web:1")
OF_A_REMOVED_STACK = Task(
    id=TaskId("t1"), service=ServiceId("gone.web"), slot=1, node=NODE, revision=TEMPLATE.revision(), template=TEMPLATE,
    desired=Desired.STOP, created_at=900.0,
)  # fmt: skip


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Client]:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        node = Node(id=NODE, name="node1", status=NodeStatus.UP, status_since=1.0)
        written = (put(OF_A_REMOVED_STACK.key, OF_A_REMOVED_STACK), put(node.key, node))
        await peer.consensus.submit(Transaction((), written))
        assert (await client.put("/v1/stacks/shop", json={"compose": COMPOSE})).status == 200
        yield client


async def listed(api: Client, path: str) -> list[str]:
    response = await api.get(f"/v1/{path}")
    assert response.status == 200, await response.text()
    return [item["id"] for item in (await response.json())["items"]]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("services?stack=none", "there is no stack 'none'; there is shop"),
        ("jobs?stack=none", "there is no stack 'none'; there is shop"),
        ("tasks?stack=none", "there is no stack 'none'; there is shop"),
        ("tasks?service=shop.none", "there is no service 'shop.none'; there is shop.web"),
        ("tasks?node=none", "no node has the name or id 'none'; there is node1"),
        ("tasks?stack=shop&node=none&all=1", "no node has the name or id 'none'; there is node1"),
        ("nodes/none", "no node has the name or id 'none'; there is node1"),
    ],
)
async def test_a_name_that_nobody_has_is_not_found(api: Client, path: str, said: str) -> None:
    response = await api.get(f"/v1/{path}")

    assert (response.status, (await response.json())["detail"]) == (404, said)


@pytest.mark.parametrize(
    "path",
    [
        "jobs?stack=shop",
        "tasks?stack=shop",
        "tasks?service=shop.web",
        "tasks?node=node1",
        f"tasks?node={NODE}",
        "tasks",
    ],
)
async def test_what_is_known_and_has_none_of_it_lists_nothing(api: Client, path: str) -> None:
    assert await listed(api, path) == []


async def test_tasks_of_what_was_removed_are_listed_as_long_as_they_are_remembered(api: Client) -> None:
    assert await listed(api, "tasks?service=gone.web&all=1") == ["t1"]
    assert await listed(api, "tasks?stack=gone&all=true") == ["t1"]
    assert await listed(api, "tasks?all=0") == []
    assert (await api.get("/v1/tasks?all=all")).status == 400


@pytest.mark.parametrize(
    "command",
    [
        "services none",
        "job list none",
        "tasks none",
        "tasks none.web",
        "tasks --node none",
        "top none",
        "logs none.web",
    ],
)
async def test_the_command_says_so_too(api: Client, command: str) -> None:
    environment = {"SWARMLET_ADDR": f"127.0.0.1:{api.port}"}

    done = await asyncio.to_thread(CliRunner().invoke, app, command.split(), env=environment)

    assert isinstance(done.exception, ApiError) and "there is " in str(done.exception)


async def test_removing_a_stack_waits_until_nothing_of_it_is_known(api: Client) -> None:
    environment = {"SWARMLET_ADDR": f"127.0.0.1:{api.port}"}

    done = await asyncio.to_thread(CliRunner().invoke, app, ["remove", "shop"], env=environment)

    assert done.exit_code == 0 and "shop: removed" in done.stdout
