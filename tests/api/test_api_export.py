"""`GET /v1/stacks/X/export/kubernetes` and `swarmlet export kubernetes`, from a peer and from files."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestClient
from api_builders import a_peer, an_api
from typer.testing import CliRunner

from swarmlet.cli.main import app

COMPOSE = (
    "services:\n  web: {image: web:1, ports: ['8080:80'], init: true, secrets: [key]}\nsecrets: {key: {file: key}}\n"
)
SECRET = "aHVudGVyMg=="


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    async with a_peer(tmp_path) as peer, an_api(peer) as client:
        # Once it leads it logs nothing more, and so nothing into the output of commands that run in this process.
        await peer.consensus.barrier()
        yield client


async def test_a_deployed_stack_is_exported_without_contents_of_secrets(api: TestClient[Any, Any]) -> None:
    await api.put("/v1/stacks/shop", json={"compose": COMPOSE, "contents": {"key": SECRET}})

    view = await (await api.get("/v1/stacks/shop/export/kubernetes")).json()
    environment = {"SWARMLET_ADDR": f"127.0.0.1:{api.port}"}
    shown = await asyncio.to_thread(CliRunner().invoke, app, ["export", "kubernetes", "shop"], env=environment)

    assert list(yaml.safe_load_all(shown.stdout)) == view["documents"]
    assert {each["kind"] for each in view["documents"]} == {"Secret", "Service", "Deployment"}
    assert {each["key"] for each in view["notes"]} >= {"init", "secrets"}
    assert "note: web: init: can't be said" in shown.stderr
    assert "# services.web.init: can't be said" in shown.stdout
    assert SECRET not in shown.output


async def test_a_stack_that_is_not_there_is_told(api: TestClient[Any, Any]) -> None:
    response = await api.get("/v1/stacks/none/export/kubernetes")

    assert response.status == 404
    assert "there is no stack 'none'" in (await response.json())["detail"]


def test_files_are_exported_without_an_agent(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2")
    (tmp_path / "compose.yaml").write_text(f"name: market\n{COMPOSE}")

    done = CliRunner().invoke(app, ["export", "kubernetes", "-f", str(tmp_path / "compose.yaml")])

    documents = list(yaml.safe_load_all(done.stdout))
    assert done.exit_code == 0
    assert {each["metadata"]["labels"]["app.kubernetes.io/part-of"] for each in documents} == {"market"}
    (secret,) = (each for each in documents if each["kind"] == "Secret")
    assert secret["data"] == {"key": SECRET}


PODS = """
services:
  web: {image: x, x-swarmlet: {pod: front}, depends_on: {setup: {condition: service_completed_successfully}}}
  side: {image: x, x-swarmlet: {pod: front}}
  setup: {image: x}
"""


async def test_files_are_exported_as_a_deploy_would_store_them(api: TestClient[Any, Any], tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(PODS)
    await api.put("/v1/stacks/shop", json={"compose": PODS})
    view = await (await api.get("/v1/stacks/shop/export/kubernetes")).json()

    arguments = ["export", "kubernetes", "shop", "-f", str(tmp_path / "compose.yaml")]
    done = await asyncio.to_thread(CliRunner().invoke, app, arguments)

    assert list(yaml.safe_load_all(done.stdout)) == view["documents"]


def test_services_that_no_deploy_would_take_are_not_exported(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(PODS.replace("{image: x, x", "{image: x, deploy: {replicas: 2}, x", 1))

    done = CliRunner().invoke(app, ["export", "kubernetes", "-f", str(tmp_path / "compose.yaml")])

    assert done.exit_code == 1
    assert "give both as many" in str(done.exception)


def test_a_broken_file_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  web: {image: x, prots: []}\n")

    done = CliRunner().invoke(app, ["export", "kubernetes", "-f", str(tmp_path / "compose.yaml")])

    assert done.exit_code == 1
    assert "compose.yaml:2:19" in str(done.exception)


def test_nothing_to_export_is_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["export", "kubernetes"]).exit_code == 2
