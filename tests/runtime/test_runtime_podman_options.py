"""What a template asks for beside its program, seen from inside of real containers. Few of them, each asked a lot."""

import base64
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podman_service import PodmanService
from runtime_builders import World, a_spec, all_lines, eventually, seen, shell, started, texts

from swarmlet.model.container import (
    ContainerOptions,
    Device,
    FileMount,
    Logging,
    Namespace,
    NetworkMode,
    PullPolicy,
    Security,
    Ulimit,
)
from swarmlet.model.spec import Mount, MountKind
from swarmlet.runtime.interface import ContainerFailed, ContainerId, ContainerState, ImageUnavailable
from swarmlet.runtime.process.ports import free_ports

# A root without CAP_SYS_RESOURCE may lower limits but not raise them: both are set, lest the engine raised one.
LIMITS = (Ulimit(name="nofile", soft=100, hard=200), Ulimit(name="nproc", soft=300, hard=400))


HAS_INIT = any(Path(at, "catatonit").exists() for at in ("/usr/libexec/podman", "/usr/lib/podman", "/usr/bin"))


async def ran_to_end(world: World, script: str, **template: Any) -> list[str]:
    container_id = await started(world, a_spec(world, script, **template))
    await ended(world, container_id)
    return texts(await all_lines(world.runtime, container_id))


async def ended(world: World, container_id: ContainerId) -> None:
    async def is_so() -> bool:
        return (await seen(world.runtime, container_id)).state is ContainerState.EXITED

    await eventually(is_so)


def inspected(engine: PodmanService, container_id: ContainerId) -> dict[str, Any]:
    with engine.client() as client:
        found: dict[str, Any] = client.api.get(f"/containers/{container_id}/json").json()
        return found


def a_file(target: str, content: bytes = b"content", **how: Any) -> FileMount:
    return FileMount(target=target, content_base64=base64.b64encode(content).decode(), **how)


SCRIPT = """\
hostname
cat /proc/sys/kernel/domainname
grep -c '^10.0.0.9.*db.example' /etc/hosts
grep -v '^#' /etc/resolv.conf | sort | tr '\\n' ';'; echo
ulimit -Sn; ulimit -Hn
cat /proc/sys/net/core/somaxconn
df -k /dev/shm | tail -1 | awk '{print $2}'
id -G | tr ' ' '\\n' | grep -c 2345
cat /proc/self/oom_score_adj
test -c /dev/nothing && echo device
grep -c 'NoNewPrivs:.*1' /proc/self/status
grep -c 'Seccomp:.*0' /proc/self/status
test -t 1 && echo terminal
"""


async def test_options_reach_the_container(podman: World, podman_engine: PodmanService) -> None:
    options = ContainerOptions(
        hostname="box",
        domainname="example.org",
        extra_hosts=("db.example:10.0.0.9",),
        dns=("192.0.2.53",),
        dns_search=("corp.example",),
        dns_options=("ndots:3",),
        ulimits=LIMITS,
        sysctls={"net.core.somaxconn": "333"},
        devices=(Device(source="/dev/null", target="/dev/nothing", permissions="rw"),),
        group_add=("2345",),
        security=Security(no_new_privileges=True, seccomp="unconfined"),
        shm_size_bytes=1 << 20,
        cpu_shares=512,
        cpuset="0",
        oom_score_adj=500,
        stop_signal=2,
        tty=True,
        stdin_open=True,
        annotations={"org.example.owner": "team-a"},
        logging=Logging(size_bytes_max=1 << 20),
    )

    container_id = await started(podman, a_spec(podman, SCRIPT, options=options))
    await ended(podman, container_id)

    printed = [line.strip("\r") for line in texts(await all_lines(podman.runtime, container_id))]
    assert printed == [
        *("box", "example.org", "1", "nameserver 192.0.2.53;options ndots:3;search corp.example;", "100", "200", "333"),
        *("1024", "1", "500", "device", "1", "1", "terminal"),
    ]
    found = inspected(podman_engine, container_id)
    host, config = found["HostConfig"], found["Config"]
    assert (host["CpuShares"], host["CpusetCpus"]) == (512, "0")
    assert (config["StopSignal"], config["OpenStdin"]) == (2, True)
    assert config["Annotations"]["org.example.owner"] == "team-a"
    assert host["LogConfig"]["Size"] == "1.049MB"


async def test_a_container_may_share_everything_with_its_node(podman: World) -> None:
    (port,) = free_ports((1,)).values()
    spec = a_spec(
        podman,
        f"echo $$; hostname; ls /dev | wc -l; grep CapEff /proc/self/status; exec httpd -f -p 127.0.0.1:{port} -h /www",
        ports=(port,),
        options=ContainerOptions(
            privileged=True, network=NetworkMode.HOST, host_namespaces=(Namespace.PID, Namespace.IPC, Namespace.UTS)
        ),
    )

    container_id = await started(podman, spec)

    async def has_printed() -> bool:
        return len(await all_lines(podman.runtime, container_id)) == 4

    await eventually(has_printed)
    pid, name, devices, capabilities = texts(await all_lines(podman.runtime, container_id))
    assert int(pid) > 1
    assert name == os.uname().nodename
    assert int(devices) > 20
    # All that this machine's root has, and more than a container's usual set.
    assert int(capabilities.split()[1], 16).bit_count() > 20
    (endpoint,) = (await seen(podman.runtime, container_id)).endpoints
    assert (endpoint.host, endpoint.port) == ("127.0.0.1", port)


async def test_a_container_without_network_has_only_its_own_loopback(podman: World) -> None:
    printed = await ran_to_end(podman, "ls /sys/class/net", options=ContainerOptions(network=NetworkMode.NONE))

    assert printed == ["lo"]


async def test_an_init_process_reaps_and_passes_the_stop_signal_on(podman: World, podman_engine: PodmanService) -> None:
    if not HAS_INIT:
        pytest.skip("needs catatonit, the engine's init: apt-get install catatonit")
    # Asked to end by SIGUSR1, it says so; SIGTERM would end it without a word.
    script = "trap 'echo asked; exit 7' USR1; echo $$; while :; do sleep 0.05; done"
    options = ContainerOptions(init=True, stop_signal=10)
    container_id = await started(podman, a_spec(podman, script, options=options))

    async def is_up() -> bool:
        return bool(await all_lines(podman.runtime, container_id))

    await eventually(is_up)
    await podman.runtime.stop(container_id, grace_s=10)

    assert (await seen(podman.runtime, container_id)).exit_code == 7
    first, *rest = texts(await all_lines(podman.runtime, container_id))
    assert int(first) > 1, "something else is process 1"
    assert rest == ["asked"]


async def test_files_are_there_read_only_with_their_owner_and_permissions(
    podman: World, podman_engine: PodmanService, tmp_path: Path
) -> None:
    files = (
        a_file("/etc/app/conf.d/app.conf", b"a: 1\n"),
        a_file("/run/secrets/key", b"top\0\xffsecret", uid=1000, gid=1001, mode=0o440, secret=True),
    )
    spec = a_spec(
        podman,
        "stat -c '%a %u:%g' /etc/app/conf.d/app.conf /run/secrets/key; cat /etc/app/conf.d/app.conf; "
        "od -An -tx1 /run/secrets/key; for at in /etc/app/conf.d/app.conf /run/secrets/key; do "
        "(echo x >> $at) 2>/dev/null || echo no; done",
        files=files,
    )
    container_id = await started(podman, spec)
    await ended(podman, container_id)

    printed = texts(await all_lines(podman.runtime, container_id))
    assert printed == ["444 0:0", "440 1000:1001", "a: 1", " 74 6f 70 00 ff 73 65 63 72 65 74", "no", "no"]
    assert base64.b64encode(b"top\0\xffsecret").decode() not in json.dumps(inspected(podman_engine, container_id))
    folder = tmp_path / "state-test" / "files"
    assert (folder.stat().st_mode & 0o777, [each.name for each in folder.iterdir()]) == (0o700, [spec.task])

    await podman.runtime.start(container_id)
    await podman.runtime.remove(container_id)

    assert list(folder.iterdir()) == []


async def test_files_of_a_container_that_could_not_be_made_are_removed(podman: World, tmp_path: Path) -> None:
    nowhere = (Mount(kind=MountKind.BIND, source="/no/such/folder", target="/data"),)

    with pytest.raises(ContainerFailed, match="does not exist on this node"):
        await podman.runtime.create(a_spec(podman, mounts=nowhere, files=(a_file("/a"),)))

    assert list((tmp_path / "state-test" / "files").iterdir()) == []


async def test_what_a_killed_agent_left_behind_goes_at_the_next_ones_first_look(podman: World, tmp_path: Path) -> None:
    kept = a_spec(podman, files=(a_file("/a"),))
    await started(podman, kept)
    (tmp_path / "state-test" / "files" / "gone").mkdir()

    another = podman.another()
    await another.list()
    await another.close()

    assert [each.name for each in (tmp_path / "state-test" / "files").iterdir()] == [kept.task]


async def test_without_logging_there_is_no_output_to_read(podman: World) -> None:
    options = ContainerOptions(logging=Logging(driver="none"))
    container_id = await started(podman, a_spec(podman, "echo lost", options=options))
    await ended(podman, container_id)

    with pytest.raises(ContainerFailed, match="none"):
        await all_lines(podman.runtime, container_id)


async def test_a_tmpfs_has_the_permissions_asked_for_and_a_bind_mount_its_propagation(
    podman: World, podman_engine: PodmanService, tmp_path: Path
) -> None:
    mounts = (
        Mount(kind=MountKind.TMPFS, target="/memory", mode=0o1750),
        Mount(kind=MountKind.BIND, source=str(tmp_path), target="/bound", propagation="rslave"),
    )

    container_id = await started(podman, a_spec(podman, "stat -c %a /memory", mounts=mounts))
    await ended(podman, container_id)

    assert texts(await all_lines(podman.runtime, container_id)) == ["1750"]
    (bound,) = (mount for mount in inspected(podman_engine, container_id)["Mounts"] if mount["Destination"] == "/bound")
    assert bound["Propagation"] == "rslave"


async def test_a_pull_policy_decides_whether_the_registry_is_asked(podman: World) -> None:
    await podman.runtime.ensure_image(podman.image, PullPolicy.NEVER)

    with pytest.raises(ImageUnavailable, match="its pull policy is never"):
        await podman.runtime.ensure_image("localhost:1/nobody/has:never", PullPolicy.NEVER)
    # It is here, and known to be here; still its registry is asked, which is not there.
    with pytest.raises(ImageUnavailable):
        await podman.runtime.ensure_image(podman.image, PullPolicy.ALWAYS)


async def test_commands_in_a_container_with_a_terminal_answer_as_elsewhere(podman: World) -> None:
    container_id = await started(podman, a_spec(podman, options=ContainerOptions(tty=True, stdin_open=True)))

    result = await podman.runtime.execute(container_id, shell("echo out; exit 4"), 20)

    assert (result.exit_code, result.output) == (4, "out\n")


@pytest.fixture
def cdi_file() -> Iterator[Path]:
    """A CDI specification, where the engine looks for them."""
    if os.geteuid() != 0:
        pytest.skip("needs root to write a CDI specification")
    folder = Path("/run/cdi")
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    file = folder / f"swarmlet-test-{os.getpid()}.json"
    node = {"path": "/dev/given", "hostPath": "/dev/zero"}
    file.write_text(
        json.dumps(
            {
                "cdiVersion": "0.5.0",
                "kind": "swarmlet.test/thing",
                "devices": [{"name": "one", "containerEdits": {"deviceNodes": [node], "env": ["THING=one"]}}],
            }
        )
    )
    yield file
    file.unlink()
    if made:
        folder.rmdir()


async def test_a_device_is_given_by_its_path_or_by_its_cdi_name(podman: World, tmp_path: Path, cdi_file: Path) -> None:
    stick = tmp_path / "stick"
    os.mknod(stick, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    script = f"ls -l {stick} /dev/given; head -c 3 {stick} | wc -c; echo $THING"
    specs = [
        replace(a_spec(podman, script), devices=(str(stick), "swarmlet.test/thing=one")),
        a_spec(
            podman,
            script,
            options=ContainerOptions(
                devices=(
                    Device(source=str(stick), target=str(stick)),
                    Device(source="swarmlet.test/thing=one", target="swarmlet.test/thing=one"),
                )
            ),
        ),
    ]

    for spec in specs:
        container_id = await started(podman, spec)
        await ended(podman, container_id)
        said = texts(await all_lines(podman.runtime, container_id))
        assert [line[0] for line in said[:2]] == ["c", "c"], said
        assert said[2:] == ["3", "one"], said
