"""Exclusive tasks run while they have a lease and not a moment longer, whoever else lives or does not."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podman_service import PodmanService
from runtime_builders import World, a_spec, all_lines, eventually, seen, started, texts

from swarmlet.model.exclusive import KILL_S
from swarmlet.model.ids import TaskId
from swarmlet.runtime.interface import LAPSED, ContainerFailed, ContainerId, ContainerState
from swarmlet.runtime.lease_files import LEASES_DIR, LeaseFiles, boot_clock_s
from swarmlet.runtime.podman.guard import Guard, is_dynamic
from swarmlet.runtime.process import supervisor

STUBBORN = "trap '' TERM INT HUP; (trap '' TERM; while :; do sleep 1; done) & while :; do sleep 1; done"


@pytest.fixture(params=["podman", "process"])
def guarded(request: pytest.FixtureRequest) -> World:
    world: World = request.getfixturevalue("podman" if request.param == "podman" else "processes")
    return world


def leases_of(world: World, tmp_path: Path) -> LeaseFiles:
    return LeaseFiles(tmp_path / ("state-test" if world.kind == "podman" else "state") / LEASES_DIR)


async def leased(world: World, tmp_path: Path, seconds: float, script: str, **template: Any) -> ContainerId:
    spec = a_spec(world, script, exclusive=True, **template)
    leases_of(world, tmp_path).write(spec.task, boot_clock_s() + seconds)
    return await started(world, spec)


async def ended(world: World, container_id: ContainerId) -> int | None:
    async def is_so() -> bool:
        return (await seen(world.runtime, container_id)).state is ContainerState.EXITED

    await eventually(is_so)
    return (await seen(world.runtime, container_id)).exit_code


async def test_a_task_with_a_lease_runs_as_any_other_and_ends_with_its_own_status(
    guarded: World, tmp_path: Path
) -> None:
    container_id = await leased(guarded, tmp_path, 60, "echo ready; exit 3")

    assert await ended(guarded, container_id) == 3
    assert texts(await all_lines(guarded.runtime, container_id)) == ["ready"]


async def test_its_stop_signal_reaches_it(guarded: World, tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.1; done"
    container_id = await leased(guarded, tmp_path, 60, script)

    async def is_ready() -> bool:
        return texts(await all_lines(guarded.runtime, container_id)) == ["ready"]

    await eventually(is_ready)
    await guarded.runtime.stop(container_id, 10)

    assert await ended(guarded, container_id) == 4
    assert "bye" in texts(await all_lines(guarded.runtime, container_id))


async def test_a_task_that_ignores_everything_is_killed_in_time_when_its_lease_runs_out(
    guarded: World, tmp_path: Path
) -> None:
    until = boot_clock_s() + 2
    container_id = await leased(guarded, tmp_path, 2, STUBBORN)

    assert await ended(guarded, container_id) == LAPSED

    assert until <= boot_clock_s() <= until + KILL_S + 1, "with a second for the test to see it"


async def test_a_renewed_lease_lets_it_go_on(guarded: World, tmp_path: Path) -> None:
    container_id = await leased(guarded, tmp_path, 1.5, "sleep 600")
    task = (await seen(guarded.runtime, container_id)).task
    leases_of(guarded, tmp_path).write(task, boot_clock_s() + 4)
    begun = time.monotonic()

    assert await ended(guarded, container_id) == LAPSED

    assert time.monotonic() - begun > 3


async def test_without_the_runtime_it_ends_too(guarded: World, tmp_path: Path) -> None:
    """As when the agent was killed: nobody is there who could stop it."""
    world = replace(guarded, runtime=guarded.another())
    container_id = await leased(world, tmp_path, 2, "sleep 600")
    await world.runtime.close()

    assert await ended(guarded, container_id) == LAPSED


async def test_a_container_without_a_lease_runs_nothing(podman: World, tmp_path: Path) -> None:
    container_id = await leased(podman, tmp_path, -1, "echo ran")

    assert await ended(podman, container_id) == LAPSED
    assert texts(await all_lines(podman.runtime, container_id)) == []


async def test_a_process_without_a_lease_is_not_started(processes: World, tmp_path: Path) -> None:
    with pytest.raises(ContainerFailed, match="no lease"):
        await leased(processes, tmp_path, -1, "echo ran")


async def test_a_guard_needs_no_root_and_no_process_of_its_own(podman: World, tmp_path: Path) -> None:
    container_id = await leased(podman, tmp_path, 2, "id -u; exec sleep 600", user="1000", read_only=True)

    assert await ended(podman, container_id) == LAPSED
    assert texts(await all_lines(podman.runtime, container_id)) == ["1000"]


async def test_killing_the_guard_kills_the_task(podman: World, podman_engine: PodmanService, tmp_path: Path) -> None:
    container_id = await leased(podman, tmp_path, 60, STUBBORN)

    await podman.runtime.kill(container_id)

    assert await ended(podman, container_id) == 137


def test_a_lease_of_another_boot_is_none(tmp_path: Path) -> None:
    leases, task = LeaseFiles(tmp_path), TaskId("one")
    leases.write(task, 100.0)
    assert leases.read(task) == 100.0

    (tmp_path / task / "until").write_text("another-boot 10000\n")

    assert leases.read(task) == 0.0
    assert leases.read(TaskId("none")) == 0.0


def test_leases_of_tasks_that_are_no_more_are_removed(tmp_path: Path) -> None:
    leases = LeaseFiles(tmp_path / "leases")
    leases.keep_only(())
    leases.write(TaskId("one"), 1.0)
    leases.write(TaskId("two"), 1.0)

    leases.keep_only({TaskId("two")})

    assert [path.name for path in (tmp_path / "leases").iterdir()] == ["two"]


def test_a_host_without_a_static_busybox_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ContainerFailed, match="apt-get install busybox-static"):
        Guard(tmp_path / "guard", tmp_path / "leases").install()


def test_a_program_that_needs_a_loader_is_known() -> None:
    assert is_dynamic(Path("/bin/sh").resolve())
    assert not is_dynamic(Path("/bin/busybox"))


def test_both_guards_say_the_same_when_a_lease_has_run_out() -> None:
    assert supervisor.LAPSED == LAPSED
