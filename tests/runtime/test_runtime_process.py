"""What only the process runtime does: images as folders, loopback ports, adoption, refusals, log limits."""

import asyncio
import os
import re
import signal
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from runtime_builders import (
    DEADLINE_S,
    World,
    a_spec,
    all_lines,
    eventually,
    next_event,
    seen,
    shell,
    started,
    texts,
)

from swarmlet.model.container import ContainerOptions, FileMount, NetworkMode
from swarmlet.model.ids import NodeId
from swarmlet.model.spec import HealthCheck, HttpProbe, Mount, MountKind
from swarmlet.runtime.interface import (
    ContainerFailed,
    ContainerId,
    ContainerState,
    EventKind,
    ExecTimedOut,
    ImageUnavailable,
)
from swarmlet.runtime.process.folder import ContainerFolder, ProcessName, Run
from swarmlet.runtime.process.log_files import read_lines
from swarmlet.runtime.process.supervisor import Log, start_ticks

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


def folder_of(tmp_path: Path, container_id: ContainerId) -> ContainerFolder:
    return ContainerFolder(tmp_path / "state" / "containers" / container_id)


def run_of(tmp_path: Path, container_id: ContainerId) -> Run:
    run = folder_of(tmp_path, container_id).read_run()
    assert run is not None
    return run


def ended(world: World, container_id: ContainerId) -> Any:
    async def check() -> bool:
        return (await seen(world.runtime, container_id)).state is ContainerState.EXITED

    return check


async def run_to_end(world: World, script: str, **template: Any) -> list[str]:
    container_id = await started(world, a_spec(world, script, **template))
    await eventually(ended(world, container_id))
    return texts(await all_lines(world.runtime, container_id))


async def test_an_image_is_a_folder_with_programs(processes: World, tmp_path: Path) -> None:
    program = tmp_path / "images" / "greeter" / "bin" / "greet"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho hello from $(pwd)\n")
    program.chmod(0o755)

    assert await run_to_end(processes, "", image="greeter", command=("greet",)) == [
        f"hello from {tmp_path / 'images' / 'greeter'}"
    ]


async def test_a_missing_image_names_the_folder_it_should_be_in(processes: World, tmp_path: Path) -> None:
    with pytest.raises(ImageUnavailable, match=re.escape(str(tmp_path / "images" / "nginx" / "1"))):
        await processes.runtime.ensure_image("nginx:1")
    with pytest.raises(ImageUnavailable, match=r"without '\.\.'"):
        await processes.runtime.ensure_image("../../etc")


async def test_ports_are_given_by_the_environment(processes: World) -> None:
    probed = HealthCheck(probe=HttpProbe(port=9000))
    spec = a_spec(
        processes, "echo $PORT $PORT_8080 $PORT_80 $PORT_9000; exec sleep 600", ports=(8080, 80), health_check=probed
    )
    container_id = await started(processes, spec)

    endpoints = (await seen(processes.runtime, container_id)).endpoints
    async with asyncio.timeout(DEADLINE_S), aclosing(processes.runtime.logs(container_id, None, True)) as lines:
        printed = [int(word) for word in (await anext(lines)).text.split()]

    assert [endpoint.target_port for endpoint in endpoints] == [8080, 80, 9000]
    assert printed == [endpoints[0].port, *(endpoint.port for endpoint in endpoints)]
    assert {endpoint.host for endpoint in endpoints} == {"127.0.0.1"}


async def test_an_end_that_no_agent_saw_is_known_to_the_next_one(processes: World, tmp_path: Path) -> None:
    spec = a_spec(processes, "read -r line < gate; exit 5", working_dir="")
    container_id = await processes.runtime.create(spec)
    gate = folder_of(tmp_path, container_id).working_folder("-", "-") / "gate"
    os.mkfifo(gate)
    await processes.runtime.start(container_id)
    await processes.runtime.close()

    await asyncio.to_thread(gate.write_text, "go\n")
    returned = processes.another()
    async with aclosing(returned.events()) as events:
        await anext(events)
        processes.runtime = returned
        await eventually(ended(processes, container_id))

    assert (await seen(returned, container_id)).exit_code == 5


async def test_a_supervisor_that_is_killed_takes_its_task_along(processes: World, tmp_path: Path) -> None:
    async with aclosing(processes.runtime.events()) as events:
        await anext(events)
        container_id = await started(processes, a_spec(processes))
        run = run_of(tmp_path, container_id)

        os.kill(run.supervisor.pid, signal.SIGKILL)
        event = await next_event(events, EventKind.EXITED, container_id)

    assert event.exit_code is None

    async def gone() -> bool:
        return _is_gone(run.process.pid)

    await eventually(gone)


async def test_sigterm_to_the_supervisor_reaches_the_whole_group(processes: World, tmp_path: Path) -> None:
    script = "trap 'exit 9' TERM; echo ready; while true; do sleep 0.02; done"
    container_id = await started(processes, a_spec(processes, script))
    async with asyncio.timeout(DEADLINE_S), aclosing(processes.runtime.logs(container_id, None, True)) as lines:
        await anext(lines)

    os.kill(run_of(tmp_path, container_id).supervisor.pid, signal.SIGTERM)

    await eventually(ended(processes, container_id))
    assert (await seen(processes.runtime, container_id)).exit_code == 9


async def test_children_left_behind_end_with_their_task(processes: World) -> None:
    printed = await run_to_end(processes, "sleep 600 & echo $!")

    async def gone() -> bool:
        return _is_gone(int(printed[0]))

    await eventually(gone)


async def test_a_command_that_can_not_run_is_told_by_start(processes: World) -> None:
    container_id = await processes.runtime.create(a_spec(processes, command=("/no/such/program",)))

    with pytest.raises(ContainerFailed, match="/no/such/program: No such file or directory"):
        await processes.runtime.start(container_id)

    assert (await seen(processes.runtime, container_id)).state is ContainerState.CREATED


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ({"mounts": (Mount(kind=MountKind.BIND, source="/", target="/x"),)}, "mounts"),
        ({"read_only": True}, "read_only"),
        ({"cap_add": ("NET_ADMIN",), "cap_drop": ("ALL",)}, "cap_add, cap_drop"),
    ],
)
async def test_what_a_process_can_not_have_is_refused_by_name(
    processes: World, template: dict[str, Any], named: str
) -> None:
    with pytest.raises(ContainerFailed, match=f"can't give a process {named}"):
        await processes.runtime.create(a_spec(processes, **template))


async def test_a_task_without_a_command_is_refused(processes: World) -> None:
    container_id = await processes.runtime.create(a_spec(processes, command=None))

    with pytest.raises(ContainerFailed, match="set `command`"):
        await processes.runtime.start(container_id)


async def test_an_unknown_user_is_refused(processes: World) -> None:
    with pytest.raises(ContainerFailed, match="no user nobody-has-this-name"):
        await processes.runtime.create(a_spec(processes, user="nobody-has-this-name"))


@as_root
async def test_a_process_runs_as_its_user(processes: World) -> None:
    assert await run_to_end(processes, "id -u; id -g; touch mine && echo writes", user="65534:65534") == [
        "65534",
        "65534",
        "writes",
    ]


async def test_commands_run_beside_with_the_tasks_environment(processes: World) -> None:
    container_id = await started(processes, a_spec(processes, environment={"GREETING": "hi"}, ports=(80,)))
    (endpoint,) = (await seen(processes.runtime, container_id)).endpoints

    result = await processes.runtime.execute(container_id, shell("echo $GREETING $PORT; exit 4"), 20)

    assert (result.exit_code, result.output) == (4, f"hi {endpoint.port}\n")
    assert (await processes.runtime.execute(container_id, ("/no/such/program",), 20)).exit_code == 127


async def test_a_command_that_hangs_is_ended_with_its_children(processes: World) -> None:
    container_id = await started(processes, a_spec(processes))

    with pytest.raises(ExecTimedOut, match="did not end within"):
        await processes.runtime.execute(container_id, shell("sleep 600 & sleep 600"), 0.1)


async def test_logs_of_a_loud_container_are_bounded_and_their_end_is_kept(tmp_path: Path) -> None:
    log = Log(str(tmp_path), bytes_max=4_000)
    for number in range(1_000):
        log.write(b"o", b"line %d" % number)

    lines = [line.text async for line in read_lines(tmp_path, None, follow=False, running=lambda: False)]

    assert _bytes_in(tmp_path) <= 4_000
    assert lines[-1] == "line 999"
    assert len(lines) > 50


async def test_a_follower_goes_on_when_the_log_is_turned_over(tmp_path: Path) -> None:
    log = Log(str(tmp_path), bytes_max=2_000)
    log.write(b"o", b"line 0")
    running = True
    got: list[str] = []

    async with asyncio.timeout(DEADLINE_S), aclosing(read_lines(tmp_path, None, True, lambda: running)) as lines:
        async for line in lines:
            got.append(line.text)
            if len(got) < 100:
                log.write(b"e", b"line %d" % len(got))
            else:
                running = False

    assert got == [f"line {number}" for number in range(100)]
    assert (tmp_path / "log.1").exists()


def test_a_pid_given_out_again_is_not_the_same_process() -> None:
    me = os.getpid()

    assert ProcessName(me, start_ticks(me)).alive
    assert not ProcessName(me, start_ticks(me) + 1).alive


async def test_templates_survive_the_folder(tmp_path: Path, processes: World) -> None:
    node = NodeId("00000000000000aa")
    spec = a_spec(processes, environment={"A": "b"}, ports=(80,))
    folder = ContainerFolder(tmp_path / "c1")

    folder.create(spec, "test", node)

    assert folder.read_spec("test", node) == spec
    assert folder.read_spec("other", node) is None


def _is_gone(pid: int) -> bool:
    """A zombie counts: in a container without an init nobody collects orphans."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"options": ContainerOptions(hostname="box", dns=("192.0.2.1",))}, "hostname, dns"),
        ({"options": ContainerOptions(privileged=True)}, "privileged"),
        ({"options": ContainerOptions(network=NetworkMode.NONE)}, "network_mode: none"),
        ({"files": (FileMount(target="/a", content_base64="aHVzaA=="),)}, "configs and secrets"),
    ],
)
async def test_what_only_a_container_can_have_is_refused_by_name(
    processes: World, asked: dict[str, Any], named: str
) -> None:
    with pytest.raises(ContainerFailed, match=f"can't give a process {named}:"):
        await processes.runtime.create(a_spec(processes, **asked))


async def test_what_a_process_has_anyway_is_passed_over(processes: World) -> None:
    options = ContainerOptions(init=True, annotations={"a": "b"}, network=NetworkMode.HOST)

    assert await run_to_end(processes, "echo ran", options=options) == ["ran"]


async def test_a_process_is_stopped_by_its_own_signal(processes: World) -> None:
    script = "trap 'exit 7' USR1; echo up; while :; do sleep 0.02; done"
    container_id = await started(processes, a_spec(processes, script, options=ContainerOptions(stop_signal=10)))

    async def is_up() -> bool:
        return texts(await all_lines(processes.runtime, container_id)) == ["up"]

    await eventually(is_up)
    await processes.runtime.stop(container_id, grace_s=10)

    assert (await seen(processes.runtime, container_id)).exit_code == 7
