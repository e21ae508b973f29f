"""Containers as plain processes: same life cycle as with an engine, none of the isolation.

Each runs in its own session beside a small supervisor and survives the agent; an agent that returns finds both
by pid and start time in the container's folder. What ends is told by pidfd, for adopted processes too.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from swarmlet.model.container import PullPolicy
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.observed import Endpoint
from swarmlet.model.spec import Resources
from swarmlet.runtime.fanout import EventFanout
from swarmlet.runtime.host import host_capacity
from swarmlet.runtime.interface import (
    LOG_BYTES_MAX,
    Container,
    ContainerEvent,
    ContainerFailed,
    ContainerId,
    ContainerSpec,
    ContainerState,
    EventKind,
    ExecResult,
    LogLine,
    NoSuchContainer,
    Stock,
    Used,
    target_ports,
)
from swarmlet.runtime.lease_files import LEASES_DIR, UNTIL, LeaseFiles
from swarmlet.runtime.pidfd import ExitWatch
from swarmlet.runtime.process.accounts import user_ids
from swarmlet.runtime.process.command import command_of, environment_of, image_folder, refuse_unsupported
from swarmlet.runtime.process.exec import run_beside
from swarmlet.runtime.process.folder import ContainerFolder, Run, folders_in, format_ports
from swarmlet.runtime.process.log_files import read_lines
from swarmlet.runtime.process.ports import LOOPBACK, free_ports
from swarmlet.runtime.process.sessions import used_by_sessions
from swarmlet.runtime.process.supervisor import NO_LEASE

START_TIMEOUT_S = 30.0
KILL_WITHIN_S = 30.0
SUPERVISOR = Path(__file__).with_name("supervisor.py")


@dataclass(slots=True)
class _Held:
    """A container in memory; the truth is in its folder."""

    folder: ContainerFolder
    spec: ContainerSpec
    run: Run | None = None
    running: bool = False
    exit_code: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)


class ProcessRuntime:
    def __init__(self, state_dir: Path, images_dir: Path, cluster: str, node_id: NodeId) -> None:
        self._containers = state_dir / "containers"
        self._leases = LeaseFiles(state_dir / LEASES_DIR)
        self._images = images_dir
        self._cluster = cluster
        self._node_id = node_id
        self._held: dict[ContainerId, _Held] = {}
        self._adopted = False
        self._fanout = EventFanout(connected=True)
        self._exits = ExitWatch(self._supervisor_ended)

    @property
    def name(self) -> str:
        return "process"

    async def ensure_image(self, image: str, policy: PullPolicy = PullPolicy.MISSING) -> None:
        """Nothing is ever fetched, whatever the policy."""
        image_folder(self._images, image)

    async def create(self, spec: ContainerSpec) -> ContainerId:
        self._adopt()
        refuse_unsupported(spec.template)
        user_ids(spec.template.user)
        if any(held.spec.name == spec.name for held in self._held.values()):
            raise ContainerFailed(f"the container name {spec.name} is already in use")
        folder = ContainerFolder(self._containers / secrets.token_hex(8))
        try:
            folder.create(spec, self._cluster, self._node_id)
        except OSError as error:
            raise ContainerFailed(f"its folder {folder.path} can't be made: {error.strerror}") from None
        self._held[folder.id] = _Held(folder, spec)
        return folder.id

    async def start(self, container_id: ContainerId) -> None:
        held = self._find(container_id)
        async with held.starting:
            if held.running:
                return
            argv, environment = self._supervised(held)
            report = await asyncio.to_thread(_launch, argv, environment)
            if report != "ok":
                raise ContainerFailed(report)
            self._began(held)

    async def stop(self, container_id: ContainerId, grace_s: float) -> None:
        held = self._find(container_id)
        if held.running and grace_s > 0:
            _signal_group(held, held.spec.template.options.stop_signal or signal.SIGTERM)
            if await _ended_within(held, grace_s):
                return
        await self.kill(container_id)

    async def kill(self, container_id: ContainerId) -> None:
        held = self._find(container_id)
        if not held.running:
            return
        _signal_group(held, signal.SIGKILL)
        if not await _ended_within(held, KILL_WITHIN_S):
            raise ContainerFailed(f"the process of {container_id} did not end within {KILL_WITHIN_S:g} s of SIGKILL")

    async def remove(self, container_id: ContainerId) -> None:
        self._adopt()
        held = self._held.get(container_id)
        if held is None:
            return
        await self.kill(container_id)
        self._held.pop(container_id, None)
        await asyncio.to_thread(held.folder.remove)

    async def list(self) -> list[Container]:
        self._adopt()
        return [_seen(held) for held in self._held.values()]

    async def events(self) -> AsyncGenerator[ContainerEvent, None]:
        self._adopt()
        async for event in self._fanout.read():
            yield event

    async def logs(self, container_id: ContainerId, tail: int | None, follow: bool) -> AsyncGenerator[LogLine, None]:
        held = self._find(container_id)
        async for line in read_lines(held.folder.path, tail, follow, lambda: held.running):
            yield line

    async def execute(self, container_id: ContainerId, argv: tuple[str, ...], timeout_s: float) -> ExecResult:
        held = self._find(container_id)
        if not held.running or held.run is None:
            raise ContainerFailed(f"container {container_id} is not running")
        image = image_folder(self._images, held.spec.template.image)
        environment = environment_of(held.spec, image, held.run.ports)
        return await run_beside(argv, environment, self._working_dir(held, image), held.spec.template.user, timeout_s)

    async def usage(self) -> dict[TaskId, Used]:
        self._adopt()
        leaders = {held.run.process.pid: held.spec.task for held in self._held.values() if held.run and held.running}
        found = await asyncio.to_thread(used_by_sessions, frozenset(leaders)) if leaders else {}
        return {leaders[pid]: used for pid, used in found.items()}

    async def stock(self) -> Stock:
        """The images of its processes: none is ever fetched, so no more has to be known. Processes have no volumes."""
        self._adopt()
        return Stock(tuple(sorted({held.spec.template.image for held in self._held.values()})), ())

    async def capacity(self) -> Resources:
        return host_capacity()

    async def close(self) -> None:
        self._exits.close()
        self._fanout.close()

    def _adopt(self) -> None:
        """Once, at the first call: take over what an earlier agent left in the folders."""
        if self._adopted:
            return
        self._adopted = True
        for folder in folders_in(self._containers):
            spec = folder.read_spec(self._cluster, self._node_id)
            if spec is None:
                continue
            held = _Held(folder, spec, folder.read_run())
            self._held[folder.id] = held
            if held.run is not None:
                held.running = True
                self._watch(held, held.run)

    def _find(self, container_id: ContainerId) -> _Held:
        self._adopt()
        if container_id not in self._held:
            raise NoSuchContainer(container_id)
        return self._held[container_id]

    def _supervised(self, held: _Held) -> tuple[tuple[str, ...], dict[str, str]]:
        template = held.spec.template
        image = image_folder(self._images, template.image)
        uid, gid = user_ids(template.user)
        ports = free_ports(target_ports(template))
        number = held.run.number + 1 if held.run else 1
        argv = (
            *(sys.executable, "-I", "-S", "-E", str(SUPERVISOR)),
            *(str(held.folder.path), str(number), uid, gid, self._working_dir(held, image)),
            *(format_ports(ports), str(LOG_BYTES_MAX), self._lease_of(held), *command_of(template)),
        )
        return argv, environment_of(held.spec, image, ports)

    def _lease_of(self, held: _Held) -> str:
        return str(self._leases.folder_of(held.spec.task) / UNTIL) if held.spec.template.exclusive else NO_LEASE

    def _working_dir(self, held: _Held, image: Path | None) -> str:
        return held.spec.template.working_dir or str(
            image or held.folder.working_folder(*user_ids(held.spec.template.user))
        )

    def _began(self, held: _Held) -> None:
        held.run = held.folder.read_run()
        if held.run is None:
            raise ContainerFailed(f"its folder {held.folder.path} is gone")
        held.running, held.exit_code = True, None
        held.ended.clear()
        self._fanout.tell(ContainerEvent(held.folder.id, held.spec.task, EventKind.STARTED))
        self._watch(held, held.run)

    def _watch(self, held: _Held, run: Run) -> None:
        """Be told when the supervisor ends, which is when the end is recorded."""
        if not self._exits.add(held.folder.id, run.supervisor.pid, lambda: run.supervisor.alive):
            self._supervisor_ended(held.folder.id)

    def _supervisor_ended(self, name: str) -> None:
        held = self._held.get(ContainerId(name))
        if held is None or held.run is None:
            return
        held.running, held.exit_code = False, held.folder.read_exit_code(held.run)
        if held.exit_code is None:
            # The supervisor was killed: nobody reads the process's output or would see its end any more.
            _signal_group(held, signal.SIGKILL)
        held.ended.set()
        self._fanout.tell(ContainerEvent(held.folder.id, held.spec.task, EventKind.EXITED, held.exit_code))


def _launch(argv: tuple[str, ...], environment: dict[str, str]) -> str:
    """`ok`, or why the command can't run. The supervisor goes on after it closed its standard output."""
    try:
        done = subprocess.run(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=START_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"its supervisor can't be started: {error}"
    return " ".join(done.stdout.decode(errors="replace").split()) or "its supervisor ended without a word"


def _signal_group(held: _Held, number: int) -> None:
    if held.run is not None and held.run.process.alive:
        try:
            os.killpg(held.run.process.pid, number)
        except ProcessLookupError:
            return


async def _ended_within(held: _Held, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await held.ended.wait()
    except TimeoutError:
        return False
    return True


def _seen(held: _Held) -> Container:
    state = ContainerState.RUNNING if held.running else ContainerState.EXITED if held.run else ContainerState.CREATED
    ports = held.run.ports if held.run and held.running else {}
    return Container(
        id=held.folder.id,
        task=held.spec.task,
        state=state,
        exit_code=held.exit_code,
        started_at=held.run.started_at if held.run else None,
        endpoints=tuple(Endpoint(target_port=t, host=LOOPBACK, port=p) for t, p in ports.items()),
        image=held.spec.template.image,
        devices=held.spec.devices,
    )
