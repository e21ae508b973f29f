"""Worlds for the contract tests: the fake, processes in a temporary folder, and a Podman engine of their own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import podman_service
import pytest
from podman_service import TEST_IMAGE, PodmanService
from runtime_builders import World

from swarmlet.model.ids import NodeId
from swarmlet.runtime.fake import FakeRuntime
from swarmlet.runtime.interface import Runtime
from swarmlet.runtime.podman import PodmanRuntime
from swarmlet.runtime.process import ProcessRuntime

NODE = NodeId("00000000000000aa")


def _by_itself(*_: object) -> None:
    """Real containers do what their command says."""


@pytest.fixture(scope="session")
def podman_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodmanService]:
    if reason := podman_service.missing():
        pytest.skip(reason)
    with podman_service.podman_service(tmp_path_factory.mktemp("podman")) as service:
        yield service


@pytest.fixture(params=["fake", "process", "podman"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "fake":
            made = _fake_world()
        case "process":
            made = _process_world(tmp_path)
        case _:
            made = _podman_world(request.getfixturevalue("podman_engine"), tmp_path)
    yield made
    for container in await made.runtime.list():
        await made.runtime.remove(container.id)
    await made.runtime.close()


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[World]:
    made = _process_world(tmp_path)
    yield made
    for container in await made.runtime.list():
        await made.runtime.remove(container.id)
    await made.runtime.close()


@pytest.fixture
async def podman(podman_engine: PodmanService, tmp_path: Path) -> AsyncIterator[World]:
    made = _podman_world(podman_engine, tmp_path)
    yield made
    for container in await made.runtime.list():
        await made.runtime.remove(container.id)
    await made.runtime.close()


def _fake_world() -> World:
    runtime = FakeRuntime("test", NODE)
    runtime.missing_images["no-such-image"] = "nobody has it"
    return World(
        "fake",
        runtime,
        "web:1",
        another=lambda: runtime,
        stranger=lambda: FakeRuntime("other", NODE),
        says=runtime.log,
        ends=runtime.exit,
        ignores_sigterm=runtime.ignores_sigterm.add,
    )


def _process_world(folder: Path) -> World:
    def runtime(cluster: str = "test") -> Runtime:
        return ProcessRuntime(folder / "state", folder / "images", cluster, NODE)

    return World("process", runtime(), "scratch", runtime, lambda: runtime("other"), _by_itself, _by_itself, _by_itself)


def _podman_world(service: PodmanService, folder: Path) -> World:
    def runtime(cluster: str = "test") -> Runtime:
        return PodmanRuntime(service.url, cluster, NODE, folder / f"state-{cluster}")

    return World("podman", runtime(), TEST_IMAGE, runtime, lambda: runtime("other"), _by_itself, _by_itself, _by_itself)
