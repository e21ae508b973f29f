"""Containers by Podman: the interface's calls, each in as few round trips as the engine allows.

Starting a container is two calls (start, inspect), since that is what a node waits for most; stopping holds no
worker for the grace period: it signals, waits for the end to be told, and kills if it isn't. podman-py answers
errors by status only, so the engine's words decide where a status means several things.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from swarmlet.model.container import PullPolicy
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.spec import MountKind, Resources
from swarmlet.runtime.cgroups import Cgroups
from swarmlet.runtime.host import host_capacity
from swarmlet.runtime.interface import (
    CLUSTER_LABEL,
    EXEC_OUTPUT_BYTES_MAX,
    NODE_LABEL,
    TASK_LABEL,
    Container,
    ContainerEvent,
    ContainerFailed,
    ContainerId,
    ContainerRuntimeError,
    ContainerSpec,
    ContainerState,
    ExecResult,
    ExecTimedOut,
    LogLine,
    NoSuchContainer,
    RuntimeUnavailable,
    Stock,
    Used,
    devices_in,
)
from swarmlet.runtime.lease_files import LEASES_DIR, LeaseFiles
from swarmlet.runtime.podman.container_spec import container_payload, endpoints_at, in_pod
from swarmlet.runtime.podman.engine import RUNTIME_NAME, Engine, EngineRefused, Params, Reply
from swarmlet.runtime.podman.exec_monitors import ExecMonitors
from swarmlet.runtime.podman.files import TaskFiles
from swarmlet.runtime.podman.guard import Guard
from swarmlet.runtime.podman.images import Images
from swarmlet.runtime.podman.ledger import Look, state_of
from swarmlet.runtime.podman.logs import log_lines
from swarmlet.runtime.podman.observer import Observer, is_process_of
from swarmlet.runtime.podman.pods import Pods
from swarmlet.runtime.podman.streams import EngineStreams, frames

KILL_WITHIN_S = 30.0
"""A killed container that has not ended by then hangs in the kernel: the caller is told."""


class PodmanRuntime:
    def __init__(
        self,
        socket_url: str,
        cluster: str,
        node_id: NodeId,
        state_dir: Path,
        workers: int = 4,
        network: str = "podman",
    ) -> None:
        """`state_dir` is for configs and secrets, leases and guards; it belongs to this node alone."""
        self._cluster = cluster
        self._node_id = node_id
        self._network = network
        self._engine = Engine(socket_url, workers)
        self._streams = EngineStreams(socket_url)
        self._exec_monitors = ExecMonitors()
        self._images = Images(self._engine, self._streams)
        self._files = TaskFiles(state_dir / "files")
        self._leases = LeaseFiles(state_dir / LEASES_DIR)
        self._guard = Guard(state_dir / "guard", state_dir / LEASES_DIR)
        self._files_swept = False
        self._creating: set[TaskId] = set()
        self._pods = Pods(self._engine, cluster, node_id, network)
        self._observer = Observer(self._engine, self._streams, self._is_ours, cluster)
        self._cgroups = Cgroups()

    @property
    def name(self) -> str:
        return RUNTIME_NAME

    async def ensure_image(self, image: str, policy: PullPolicy = PullPolicy.MISSING) -> None:
        await self._images.ensure(image, policy)

    async def create(self, spec: ContainerSpec) -> ContainerId:
        files = spec.template.files
        if spec.template.exclusive:
            await asyncio.to_thread(self._guard.install)
            await asyncio.to_thread(self._leases.prepare, spec.task)
        if not files:
            return await self._create(spec)
        self._creating.add(spec.task)
        try:
            await asyncio.to_thread(self._files.write, spec.task, files)
            return await self._create(spec)
        except ContainerFailed:
            await self._forget_files(spec.task)
            raise
        finally:
            self._creating.discard(spec.task)

    async def _create(self, spec: ContainerSpec) -> ContainerId:
        mounts = self._files.mounts(spec.task, spec.template.files)
        guard: dict[str, Any] = {}
        if spec.template.exclusive:
            mounts, guard = mounts + self._guard.mounts(spec.task), self._guard.payload()
        payload = {**container_payload(spec, self._cluster, self._node_id, self._network, mounts), **guard}
        try:
            if spec.pod:
                async with self._pods.present(spec.pod) as pod:
                    reply = await self._engine.call("POST", "/containers/create", body=in_pod(payload, pod))
            else:
                reply = await self._engine.call("POST", "/containers/create", body=payload)
        except EngineRefused as refused:
            if "image not known" in refused.message:
                self._images.forget(spec.template.image)
            raise ContainerFailed(_create_failure(spec, refused.message)) from None
        container_id = ContainerId(reply.json()["Id"])
        self._observer.ledger.observe(_created(container_id, spec.task))
        return container_id

    async def start(self, container_id: ContainerId) -> None:
        if self._observer.ledger.last(container_id) is None:
            await self._observer.look(container_id)
        await self._call(container_id, "POST", f"/containers/{container_id}/start", accept=(304,))
        await self._observer.look(container_id)

    async def stop(self, container_id: ContainerId, grace_s: float) -> None:
        look = await self._observer.look(container_id)
        if look.running and grace_s > 0:
            await self._signal(container_id, look.stop_signal)
            if await self._observer.wait_ended(container_id, grace_s):
                return
        await self.kill(container_id)

    async def kill(self, container_id: ContainerId) -> None:
        look = await self._observer.look(container_id)
        if not look.running:
            return
        await self._signal(container_id, signal.SIGKILL)
        if not await self._observer.wait_ended(container_id, KILL_WITHIN_S):
            raise ContainerFailed(f"container {container_id[:12]} did not end within {KILL_WITHIN_S:g} s of SIGKILL")

    async def remove(self, container_id: ContainerId) -> None:
        known = self._observer.ledger.last(container_id)
        with suppress(NoSuchContainer):
            await self.kill(container_id)
            known = self._observer.ledger.last(container_id) or known
            params: Params = {"force": True, "timeout": 0, "volumes": True}
            await self._call(container_id, "DELETE", f"/containers/{container_id}", params)
            await self._observer.look(container_id)
        if known is not None:
            await self._forget_files(known.task)
            if known.pod:
                await self._left(known.pod)

    async def list(self) -> list[Container]:
        labels = [f"{CLUSTER_LABEL}={self._cluster}", f"{NODE_LABEL}={self._node_id}"]
        params: Params = {"all": True, "filters": json.dumps({"label": labels})}
        try:
            await self._pods.sweep()
            reply = await self._engine.call("GET", "/containers/json", params)
        except EngineRefused as refused:
            # Podman refuses the whole list for one container whose files are damaged: nothing is known then.
            raise RuntimeUnavailable(RUNTIME_NAME, refused.message) from None
        rows = [row for row in reply.json() or [] if self._is_ours(row.get("Labels") or {})]
        await self._sweep_files({TaskId((row.get("Labels") or {})[TASK_LABEL]) for row in rows})
        vanished = self._observer.ledger.known() - {ContainerId(row["Id"]) for row in rows}
        found = await asyncio.gather(*(self._seen(row) for row in rows), *(self._vanished(one) for one in vanished))
        return [container for container in found if container is not None]

    def events(self) -> AsyncGenerator[ContainerEvent, None]:
        self._observer.follow()
        return self._observer.fanout.read()

    async def logs(self, container_id: ContainerId, tail: int | None, follow: bool) -> AsyncGenerator[LogLine, None]:
        look = await self._observer.look(container_id)
        if look.state is ContainerState.CREATED:
            return
        params = {"stdout": True, "stderr": True, "timestamps": True, "follow": follow and look.running}
        tailing = {} if tail is None else {"tail": tail}
        try:
            async with self._streams.open("GET", f"/containers/{container_id}/logs", {**params, **tailing}) as reader:
                async for line in log_lines(reader):
                    yield line
        except EngineRefused as refused:
            raise _failure(container_id, refused) from None

    async def execute(self, container_id: ContainerId, argv: tuple[str, ...], timeout_s: float) -> ExecResult:
        wanted = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(argv)}
        reply = await self._call(container_id, "POST", f"/containers/{container_id}/exec", body=wanted)
        session = str(reply.json()["Id"])
        try:
            async with asyncio.timeout(timeout_s):
                output = await self._run(session)
                ended = await self._call(container_id, "GET", f"/exec/{session}/json")
        except TimeoutError:
            await self._kill_exec(container_id, session)
            raise ExecTimedOut(argv, timeout_s) from None
        except EngineRefused as refused:
            raise _failure(container_id, refused) from None
        finally:
            self._exec_monitors.ended(session)
        return ExecResult(int(ended.json()["ExitCode"]), output.decode(errors="replace"))

    async def usage(self) -> dict[TaskId, Used]:
        """From control groups: the engine is not asked."""
        running = [look for look in self._observer.ledger.looks() if look.running]
        return await asyncio.to_thread(self._usage_of, running)

    def _usage_of(self, running: Sequence[Look]) -> dict[TaskId, Used]:
        found = ((look.task, self._cgroups.used(look.pid, look.id)) for look in running)
        return {task: used for task, used in found if used is not None}

    async def stock(self) -> Stock:
        images = (await self._engine.call("GET", "/images/json")).json() or []
        volumes = (await self._engine.call("GET", "/volumes/json")).json() or []
        names = [name for image in images for name in image.get("Names") or ()]
        return Stock(tuple(names), tuple(volume["Name"] for volume in volumes))

    async def capacity(self) -> Resources:
        return host_capacity()

    async def close(self) -> None:
        await self._exec_monitors.close()
        await self._observer.close()
        await self._images.close()
        await self._streams.close()
        await self._engine.close()

    def _is_ours(self, labels: dict[str, str]) -> bool:
        return labels.get(CLUSTER_LABEL) == self._cluster and labels.get(NODE_LABEL) == self._node_id

    async def _left(self, pod: str) -> None:
        try:
            await self._pods.left(pod)
        except EngineRefused as refused:
            raise ContainerFailed(refused.message) from None

    async def _forget_files(self, task: TaskId) -> None:
        await asyncio.to_thread(self._files.remove, task)

    async def _sweep_files(self, tasks: set[TaskId]) -> None:
        """Once: what an agent that was killed between writing files and making the container left behind."""
        if not self._files_swept:
            self._files_swept = True
            await asyncio.to_thread(self._files.keep_only, tasks | self._creating)

    async def _call(
        self,
        container_id: ContainerId,
        method: str,
        path: str,
        params: Params | None = None,
        body: Any = None,
        accept: tuple[int, ...] = (),
    ) -> Reply:
        try:
            return await self._engine.call(method, path, params, body, accept)
        except EngineRefused as refused:
            raise _failure(container_id, refused) from None

    async def _signal(self, container_id: ContainerId, number: int) -> None:
        """One that ended meanwhile is no failure."""
        try:
            await self._call(container_id, "POST", f"/containers/{container_id}/kill", {"signal": str(int(number))})
        except ContainerFailed:
            if (await self._observer.look(container_id)).running:
                raise

    async def _seen(self, row: dict[str, Any]) -> Container | None:
        """A row of the engine's list; it lacks addresses, which the last look at a running container has."""
        container_id = ContainerId(row["Id"])
        look = self._observer.ledger.last(container_id)
        if look is None or not self._observer.ledger.agrees(container_id, state_of(row["State"]), row["StartedAt"]):
            try:
                look = await self._observer.look(container_id)
            except NoSuchContainer:
                return None
        labels = row.get("Labels") or {}
        return Container(
            id=container_id,
            task=TaskId(labels[TASK_LABEL]),
            state=look.state,
            exit_code=look.exit_code,
            started_at=look.started_at,
            endpoints=endpoints_at(look.address, labels) if look.running else (),
            image=row["Image"],
            devices=devices_in(labels),
        )

    async def _vanished(self, container_id: ContainerId) -> None:
        """Not in the list: gone, or made after the list was."""
        with suppress(NoSuchContainer):
            await self._observer.look(container_id)

    async def _run(self, session: str) -> bytes:
        output = bytearray()
        async with self._streams.open("POST", f"/exec/{session}/start", body={"Detach": False, "Tty": False}) as reader:
            async for _, content in frames(reader):
                output += content[: EXEC_OUTPUT_BYTES_MAX - len(output)]
        return bytes(output)

    async def _kill_exec(self, container_id: ContainerId, session: str) -> None:
        """The engine has no call for it; a probe that hangs would otherwise leave a process a time."""
        with suppress(ContainerRuntimeError):
            pid = int((await self._engine.call("GET", f"/exec/{session}/json")).json().get("Pid") or 0)
            with suppress(OSError):
                if pid > 1 and is_process_of(container_id, pid):
                    os.kill(pid, signal.SIGKILL)


def _created(container_id: ContainerId, task: TaskId) -> Look:
    return Look(container_id, task, ContainerState.CREATED, None, None, 0, "", signal.SIGTERM)


def _failure(container_id: ContainerId, refused: EngineRefused) -> NoSuchContainer | ContainerFailed:
    return NoSuchContainer(container_id) if refused.status == 404 else ContainerFailed(refused.message)


def _create_failure(spec: ContainerSpec, message: str) -> str:
    for mount in spec.template.mounts:
        if mount.kind is MountKind.BIND and f"statfs {mount.source}:" in message:
            return f"the source {mount.source} of the bind mount on {mount.target} does not exist on this node"
    return message
