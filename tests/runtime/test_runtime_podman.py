"""What only the Podman runtime does: the template's fields, pulls, and an engine that goes away."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from podman_service import PodmanService
from runtime_builders import DEADLINE_S, World, a_spec, all_lines, eventually, next_event, seen, shell, started, texts

from swarmlet.model.ids import NodeId
from swarmlet.model.spec import Mount, MountKind, Resources
from swarmlet.runtime.interface import (
    ContainerEvent,
    ContainerFailed,
    ContainerId,
    ContainerState,
    EventKind,
    ExecTimedOut,
    ImageUnavailable,
    RuntimeUnavailable,
)
from swarmlet.runtime.podman import PodmanRuntime

NODE = NodeId("00000000000000aa")


async def run_to_end(world: World, script: str, **template: Any) -> list[str]:
    """What a container with this template prints."""
    container_id = await started(world, a_spec(world, script, **template))

    async def ended() -> bool:
        return (await seen(world.runtime, container_id)).state is ContainerState.EXITED

    await eventually(ended)
    return texts(await all_lines(world.runtime, container_id))


def inspect(engine: PodmanService, container_id: ContainerId) -> dict[str, Any]:
    with engine.client() as client:
        found: dict[str, Any] = client.api.get(f"/containers/{container_id}/json").json()
        return found


async def test_environment_user_and_working_dir_reach_the_process(podman: World) -> None:
    printed = await run_to_end(
        podman, 'echo "$GREETING $(id -u) $(pwd)"', environment={"GREETING": "hi"}, user="nobody", working_dir="/tmp"
    )

    assert printed == ["hi 65534 /tmp"]


async def test_an_empty_entrypoint_is_not_the_images_and_the_command_follows_it(podman: World) -> None:
    assert await run_to_end(podman, "", entrypoint=("echo", "first"), command=("second",)) == ["first second"]
    assert await run_to_end(podman, "", entrypoint=(), command=("echo", "alone")) == ["alone"]


async def test_mounts_of_every_kind(podman: World, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host\n")
    mounts = (
        Mount(kind=MountKind.BIND, source=str(tmp_path), target="/bound", read_only=True),
        Mount(kind=MountKind.VOLUME, source="swarmlet-test-volume", target="/named"),
        Mount(kind=MountKind.VOLUME, target="/anonymous"),
        Mount(kind=MountKind.TMPFS, target="/memory", size_bytes=1 << 20),
    )

    printed = await run_to_end(
        podman,
        "cat /bound/given; touch /bound/x 2>/dev/null || echo bound is read-only; "
        "for at in /named /anonymous /memory; do touch $at/x && echo $at; done; "
        "df -k /memory | tail -1 | awk '{print $2}'",
        mounts=mounts,
    )

    assert printed == ["from the host", "bound is read-only", "/named", "/anonymous", "/memory", "1024"]


async def test_a_bind_mount_without_its_source_says_so(podman: World) -> None:
    spec = a_spec(podman, mounts=(Mount(kind=MountKind.BIND, source="/no/such/folder", target="/data"),))

    with pytest.raises(ContainerFailed, match="the source /no/such/folder of the bind mount on /data does not exist"):
        await podman.runtime.create(spec)


async def test_a_read_only_container_without_capabilities(podman: World) -> None:
    printed = await run_to_end(
        podman,
        "touch /x 2>/dev/null || echo read-only; grep CapEff /proc/self/status",
        read_only=True,
        cap_drop=("ALL",),
        cap_add=("NET_BIND_SERVICE",),
    )

    assert printed[0] == "read-only"
    assert int(printed[1].split()[1], 16) == 1 << 10


async def test_limits_labels_and_the_log_limit_are_given_to_the_engine(
    podman: World, podman_engine: PodmanService
) -> None:
    limits = Resources(cpus=0.5, memory_bytes=64 << 20, pids=50)

    container_id = await started(podman, a_spec(podman, limits=limits, labels={"tier": "front"}))

    found = inspect(podman_engine, container_id)
    host = found["HostConfig"]
    assert (host["CpuQuota"], host["CpuPeriod"], host["Memory"], host["PidsLimit"]) == (50_000, 100_000, 64 << 20, 50)
    assert (host["LogConfig"]["Type"], host["LogConfig"]["Size"]) == ("k8s-file", "10.49MB")
    assert host["RestartPolicy"]["Name"] in ("", "no")
    assert found["Config"]["Labels"]["tier"] == "front"
    assert found["Config"]["Labels"]["io.swarmlet.service"] == "demo.web"


async def test_a_command_that_does_not_exist_fails_in_the_engines_words_and_can_be_removed(podman: World) -> None:
    container_id = await podman.runtime.create(a_spec(podman, command=("/no/such/program",)))

    with pytest.raises(ContainerFailed, match="/no/such/program"):
        await podman.runtime.start(container_id)

    assert (await seen(podman.runtime, container_id)).state is ContainerState.CREATED


async def test_a_task_answers_at_its_endpoint(podman: World) -> None:
    container_id = await started(podman, a_spec(podman, "httpd -f -p 80 -h /www", ports=(80,)))
    (endpoint,) = (await seen(podman.runtime, container_id)).endpoints

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(answers)


async def test_concurrent_tasks_share_one_pull(podman: World) -> None:
    pulls = await asyncio.gather(
        *(podman.runtime.ensure_image("localhost:1/nobody/has:this") for _ in range(5)), return_exceptions=True
    )

    assert len({id(error) for error in pulls}) == 1
    assert isinstance(pulls[0], ImageUnavailable)


async def test_commands_run_inside_with_their_exit_code(podman: World) -> None:
    container_id = await started(podman, a_spec(podman))

    result = await podman.runtime.execute(container_id, shell("echo out; echo err >&2; exit 4"), 20)

    assert result.exit_code == 4
    assert sorted(result.output.split()) == ["err", "out"]
    assert (await podman.runtime.execute(container_id, ("/no/such/program",), 20)).exit_code == 127


async def test_commands_leave_no_processes_behind(podman: World) -> None:
    container_id = await started(podman, a_spec(podman))
    await asyncio.gather(*(podman.runtime.execute(container_id, ("true",), 20) for _ in range(3)))
    bundle = f"/{container_id}/userdata/"

    async def gone() -> bool:
        return not any(bundle in line and "--exec-attach" in line for line in _commands())

    await eventually(gone)


async def test_a_command_that_hangs_is_ended(podman: World) -> None:
    container_id = await started(podman, a_spec(podman))

    with pytest.raises(ExecTimedOut):
        await podman.runtime.execute(container_id, ("sleep", "77"), 0.5)

    async def gone() -> bool:
        return "sleep 77" not in (await podman.runtime.execute(container_id, ("ps",), 20)).output

    await eventually(gone)


async def test_what_others_do_to_a_container_is_told(podman: World, podman_engine: PodmanService) -> None:
    async with aclosing(podman.runtime.events()) as events:
        await anext(events)
        container_id = await started(podman, a_spec(podman))
        await next_event(events, EventKind.STARTED, container_id)

        os.kill(inspect(podman_engine, container_id)["State"]["Pid"], signal.SIGKILL)
        ended = await next_event(events, EventKind.EXITED, container_id)
        with podman_engine.client() as client:
            await asyncio.to_thread(client.api.post, f"/containers/{container_id}/start")
        await next_event(events, EventKind.STARTED, container_id)

    assert ended.exit_code == 137


async def test_a_container_taken_away_by_others_is_told_as_ended(podman: World, podman_engine: PodmanService) -> None:
    async with aclosing(podman.runtime.events()) as events:
        await anext(events)
        container_id = await started(podman, a_spec(podman))
        with podman_engine.client() as client:
            force = {"force": True, "timeout": 0}
            await asyncio.to_thread(client.api.delete, f"/containers/{container_id}", params=force)

        await next_event(events, EventKind.EXITED, container_id)

    assert await podman.runtime.list() == []


async def test_without_an_engine_everything_says_so(tmp_path: Path) -> None:
    runtime = PodmanRuntime(f"unix://{tmp_path}/nothing.sock", "test", NODE, tmp_path / "files")

    for call in (runtime.list(), runtime.ensure_image("x"), runtime.start(ContainerId("x"))):
        with pytest.raises(RuntimeUnavailable, match=r"nothing\.sock"):
            await call

    await runtime.close()


async def test_an_engine_that_comes_back_is_resynced_with(podman_engine: PodmanService, tmp_path: Path) -> None:
    runtime = PodmanRuntime(podman_engine.url, "test", NODE, tmp_path / "files")
    world = World("podman", runtime, "localhost/swarmlet-test:1", *[lambda *_: None] * 5)  # type: ignore[arg-type]
    container_id = await started(world, a_spec(world))
    async with aclosing(runtime.events()) as events:
        await anext(events)

        podman_engine.kill()
        with pytest.raises(RuntimeUnavailable):
            await runtime.list()
        podman_engine.start()
        await _resynced(events)

        assert (await seen(runtime, container_id)).state is ContainerState.RUNNING
        await runtime.kill(container_id)
        assert (await next_event(events, EventKind.EXITED, container_id)).exit_code == 137
    await runtime.remove(container_id)
    await runtime.close()


async def test_closing_does_not_wait_for_a_follower(podman: World) -> None:
    container_id = await started(podman, a_spec(podman))
    reading = asyncio.ensure_future(anext(podman.runtime.logs(container_id, 0, follow=True)))
    await asyncio.wait([reading], timeout=0.2)

    async with asyncio.timeout(DEADLINE_S):
        await podman.runtime.close()
        with pytest.raises((RuntimeUnavailable, StopAsyncIteration)):
            await reading

    podman.runtime = podman.another()


async def test_ten_containers_start_side_by_side(podman: World) -> None:
    ids = await asyncio.gather(*(started(podman, a_spec(podman, ports=(80,))) for _ in range(10)))

    containers = await podman.runtime.list()

    assert {container.id for container in containers} == set(ids)
    assert len({container.endpoints[0].host for container in containers}) == 10
    await asyncio.gather(*(podman.runtime.remove(one) for one in ids))


def _commands() -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                found.append((process / "cmdline").read_text())
    return found


async def _resynced(events: AsyncGenerator[ContainerEvent, None]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while (await anext(events)).kind is not EventKind.RESYNC:
            pass


def test_the_test_engine_is_private(podman_engine: PodmanService) -> None:
    with podman_engine.client() as client:
        info = json.dumps(client.api.get("/info").json()["store"])

    assert str(podman_engine.folder) in info
