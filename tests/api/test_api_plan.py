"""`POST /v1/stacks/X/plan` and `swarmlet plan`: the peer that would take the deploy says what would become of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import click.testing
import pytest
from aiohttp.test_utils import TestClient
from api_builders import NODE, a_peer, an_api
from typer.testing import CliRunner

from swarmlet.api.routes import PEER
from swarmlet.cli.main import app
from swarmlet.model.compose import parse_stack
from swarmlet.model.compose.stack import Given, Unbuilt
from swarmlet.model.ids import ServiceId, TaskId
from swarmlet.model.objects import Task
from swarmlet.model.observed import NodeFacts
from swarmlet.model.spec import ServiceSpec
from swarmlet.model.transaction import Transaction, put

REAL = sorted((Path(__file__).parents[1] / "model" / "data" / "real").glob("*.yaml"))
WEB = "services:\n  web:\n    image: web:1\n    deploy: {replicas: 2}\n    ports: ['8080:80']\n"
KEPT = "secret, owner 0:0, mode 0444, contents (hidden)"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        # Once it leads it logs nothing more, and so nothing into the output of commands that run in this process.
        await peer.consensus.barrier()
        peer.membership.publish_facts(NodeFacts(name="node1", version="0", runtime="fake", cpus=8, memory_bytes=2**33))
        yield client


async def planned(api: TestClient[Any, Any], compose: str, stack: str = "shop", **more: object) -> Any:
    response = await api.post(f"/v1/stacks/{stack}/plan", json={"compose": compose, **more})
    return await response.json()


async def command(api: TestClient[Any, Any], *words: str) -> click.testing.Result:
    environment = {"SWARMLET_ADDR": f"127.0.0.1:{api.port}", "HOME": "/home/me"}
    return await asyncio.to_thread(CliRunner().invoke, app, list(words), env=environment)


async def test_a_new_stack_is_told_with_its_tasks_and_images(api: TestClient[Any, Any]) -> None:
    plan = await planned(api, WEB)

    (service,) = plan["services"]
    assert (plan["changes"], plan["settled"], service["action"], service["tasks_after"]) == (True, True, "add", 2)
    assert [(task["action"], task["service"], task["slot"], task["node"]) for task in plan["tasks"]] == [
        ("create", "shop.web", 1, "node1"),
        ("create", "shop.web", 2, "node1"),
    ]
    assert plan["images"] == [{"image": "web:1", "nodes": ["node1"], "pull_policy": "missing", "unbuilt": False}]


async def test_a_job_is_told_with_its_completions(api: TestClient[Any, Any], tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(
        "services:\n"
        "  nightly: {image: 'work:1', x-swarmlet: {job: {schedule: '@daily', completions: 2}}}\n"
        "  once: {image: 'work:1', x-swarmlet: {job: {completions: 3}}}\n"
    )

    table = (await command(api, "plan", "shop", str(file))).stdout.splitlines()

    (nightly,) = (line for line in table if "shop.nightly" in line)
    (once,) = (line for line in table if "shop.once" in line)
    assert " 0/0 " in nightly and " 3/3 " in once
    assert table[-1] == "shop: services: 2 to add; tasks: 3 created"


async def test_a_plan_writes_nothing(api: TestClient[Any, Any]) -> None:
    before = (await api.get("/v1/stacks")).headers["Swarmlet-Revision"]

    await planned(api, WEB)

    after = await api.get("/v1/stacks")
    assert (await after.json())["items"] == []
    assert after.headers["Swarmlet-Revision"] == before


async def test_a_change_is_told_field_by_field(api: TestClient[Any, Any]) -> None:
    compose = WEB + "    secrets: [key]\nsecrets: {key: {file: key}}\n"
    await api.put("/v1/stacks/shop", json={"compose": compose, "contents": {"key": "aHVudGVyMg=="}})

    plan = await planned(api, compose.replace("web:1", "web:2"), contents={"key": "c2VjcmV0"})

    (service,) = plan["services"]
    assert (service["action"], service["replaces_tasks"]) == ("change", True)
    assert [(each["key"], each["before"], each["after"]) for each in service["fields"]] == [
        ("image", "web:1", "web:2"),
        ("files./run/secrets/key", KEPT, f"{KEPT}, another"),
    ]
    assert "aHVudGVyMg" not in json.dumps(plan) and "c2VjcmV0" not in json.dumps(plan)


async def test_a_stack_that_is_there_already_leaves_nothing_to_do(api: TestClient[Any, Any]) -> None:
    await api.put("/v1/stacks/shop", json={"compose": WEB})

    plan = await planned(api, WEB)

    assert (plan["changes"], [each["action"] for each in plan["services"]]) == (False, ["unchanged"])


@pytest.mark.parametrize(
    "compose",
    [
        "services:\n  web: {image: x, prots: []}\n",
        "services:\n  web: {image: x, ports: ['8080:80']}\n",
        "services:\n  web: {build: .}\n",
        "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
    ],
    ids=["unknown key", "port conflict", "unbuilt", "cycle"],
)
async def test_what_a_deploy_refuses_is_refused_in_the_same_words(api: TestClient[Any, Any], compose: str) -> None:
    await api.put("/v1/stacks/taken", json={"compose": WEB})

    plan = await api.post("/v1/stacks/shop/plan", json={"compose": compose})
    deploy = await api.put("/v1/stacks/shop", json={"compose": compose})

    assert plan.status == deploy.status >= 400
    assert await plan.json() == await deploy.json()


async def test_what_has_no_room_is_told_with_the_reason(api: TestClient[Any, Any], tmp_path: Path) -> None:
    reserved = "{replicas: 3, resources: {reservations: {cpus: 4}}}"
    compose = WEB.replace("{replicas: 2}", reserved)

    plan = await planned(api, compose)
    (tmp_path / "compose.yaml").write_text(compose)
    shown = await command(api, "plan", "shop", str(tmp_path / "compose.yaml"))

    (service,) = plan["services"]
    assert (plan["settled"], service["tasks_after"], service["wanted"]) == (False, 2, 3)
    assert "1 of 3 tasks" in service["problem"]
    assert service["per_node"].keys() == {"node1"}
    assert "it would not become as declared" in shown.stdout
    assert f"node1: {service['per_node']['node1']}" in shown.stdout


async def test_tasks_of_other_stacks_that_have_to_give_way_are_told(api: TestClient[Any, Any], tmp_path: Path) -> None:
    reserved = "services:\n  {name}:\n    image: x\n    deploy: {{resources: {{reservations: {{cpus: 5}}}}}}\n"
    await api.put("/v1/stacks/lesser", json={"compose": reserved.format(name="low")})
    lesser = parse_stack("lesser", reserved.format(name="low"), "compose.yaml", {}, {}).spec.services["low"]
    task = Task(
        id=TaskId("t1"), service=ServiceId("lesser.low"), slot=1, node=NODE, revision=lesser.template.revision(),
        template=lesser.template, created_at=1.0,
    )  # fmt: skip
    await api.app[PEER].consensus.submit(Transaction((), (put(task.key, task),)))
    (tmp_path / "compose.yaml").write_text(reserved.format(name="high") + "    x-swarmlet: {priority: 9}\n")

    plan = json.loads((await command(api, "plan", "shop", str(tmp_path / "compose.yaml"), "-o", "json")).stdout)
    table = (await command(api, "plan", "shop", str(tmp_path / "compose.yaml"))).stdout

    assert [(each["service"], each["node"]) for each in plan["tasks"]] == [("shop.high", "node1")]
    (displaced,) = plan["elsewhere"]
    assert (displaced["action"], displaced["task"], displaced["node"]) == ("stop", "t1", "node1")
    assert f"lesser.low.1 of another stack stops ({displaced['reason']}) on node1" in table


async def test_the_exit_status_tells_changes_where_asked(api: TestClient[Any, Any], tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(WEB)

    plain = await command(api, "plan", "shop", str(file))
    detailed = await command(api, "plan", "shop", str(file), "--detailed-exitcode")
    await api.put("/v1/stacks/shop", json={"compose": WEB})
    nothing = await command(api, "plan", "shop", "-f", str(file), "--detailed-exitcode")

    assert (plain.exit_code, detailed.exit_code, nothing.exit_code) == (0, 2, 0)
    assert nothing.stdout.endswith("shop: nothing to do\n")


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
async def test_a_real_stack_is_shown_right(api: TestClient[Any, Any], tmp_path: Path, path: Path) -> None:
    declared = declared_in(path, tmp_path)
    placed = {name: each for name, each in declared.items() if not each.placement.platform.startswith("wasi")}
    words = ("plan", "real", str(tmp_path / "compose.yaml"), "--unbuilt", "expect")

    table = await command(api, *words)
    plan = json.loads((await command(api, *words, "--output", "json")).stdout)

    assert table.exit_code == 0
    assert [each["name"] for each in plan["services"]] == sorted(declared)
    assert {each["name"] for each in plan["services"] if each["problem"]} == declared.keys() - placed.keys()
    assert len(plan["tasks"]) == sum(each.replicas for each in placed.values())
    assert (plan["changes"], plan["settled"]) == (True, placed == declared)
    assert {each["image"] for each in plan["images"]} == {each.template.image for each in placed.values()}
    lines = table.stdout.splitlines()
    for name, service in declared.items():
        (line,) = (each for each in lines if each.startswith("+") and f" real.{name} " in each)
        assert f" {service.replicas if name in placed else 0}/{service.replicas} " in line
        assert service.template.image in line
        assert line.endswith("+node1") is (name in placed)
    said = f"real: services: {len(declared)} to add; tasks: {len(plan['tasks'])} created"
    assert lines[-1] == (said if placed == declared else f"{said}; it would not become as declared")
    assert "hush-hush" not in table.stdout and "aHVzaC1odXNo" not in json.dumps(plan)


def declared_in(path: Path, folder: Path) -> Mapping[str, ServiceSpec]:
    """The stack as it is read where its images and files are there; it lies in the folder then."""
    (folder / "db").mkdir()
    (folder / "db/password.txt").write_text("hush-hush")
    (folder / "compose.yaml").write_text(path.read_text())
    given = Given(folder=str(folder), unbuilt=Unbuilt.EXPECT, contents={"db/password.txt": "aHVzaC1odXNo"})
    return parse_stack("real", path.read_text(), "compose.yaml", {"HOME": "/home/me"}, {}, given).spec.services


def test_all_real_stacks_are_here() -> None:
    assert len(REAL) == 19
