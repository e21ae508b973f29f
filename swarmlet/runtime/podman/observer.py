"""Looks at containers when there is reason to, and tells what changed: the shell around the `ledger`.

Reasons to look: a call of ours changed something, the container's process ended (a pidfd tells within a
millisecond), the engine's event stream says so, or a listing disagrees with the last look. Looks at one
container never overlap, so that an older answer can't overwrite a newer one.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from swarmlet.runtime.fanout import EventFanout
from swarmlet.runtime.interface import (
    CLUSTER_LABEL,
    ContainerEvent,
    ContainerFailed,
    ContainerId,
    ContainerRuntimeError,
    EventKind,
    NoSuchContainer,
)
from swarmlet.runtime.pidfd import ExitWatch
from swarmlet.runtime.podman.engine import Engine, EngineRefused
from swarmlet.runtime.podman.ledger import Ledger, Look, look_of
from swarmlet.runtime.podman.streams import EngineStreams, json_lines

LOG = structlog.get_logger()

RECONNECT_FIRST_S = 0.1
RECONNECT_MAX_S = 5.0
SETTLE_FIRST_S = 0.005
SETTLE_MAX_S = 0.25
SETTLE_WITHIN_S = 30.0
"""How long after its process ended the engine may take to notice."""

_HINTS = ("start", "died", "remove")


class Observer:
    def __init__(self, engine: Engine, streams: EngineStreams, is_ours: Callable[[dict[str, str]], bool], cluster: str):
        self.ledger = Ledger()
        self.fanout = EventFanout(connected=False)
        self._engine = engine
        self._streams = streams
        self._is_ours = is_ours
        self._cluster = cluster
        self._exits = ExitWatch(self._process_ended)
        self._locks: dict[ContainerId, asyncio.Lock] = {}
        self._ended: dict[ContainerId, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._follower: asyncio.Task[None] | None = None

    async def look(self, container_id: ContainerId) -> Look:
        """Inspect one container and tell what changed. Raises `NoSuchContainer`."""
        async with self._locks.setdefault(container_id, asyncio.Lock()):
            try:
                reply = await self._engine.call("GET", f"/containers/{container_id}/json")
            except EngineRefused as refused:
                if refused.status != 404:
                    raise ContainerFailed(refused.message) from None
                self._tell(self.ledger.gone(container_id))
                self._forget(container_id)
                raise NoSuchContainer(container_id) from None
            look = look_of(reply.json())
            events = self.ledger.observe(look)
        if look.running:
            self._exits.add(container_id, look.pid, lambda: is_process_of(container_id, look.pid))
        self._tell(events)
        return look

    async def wait_ended(self, container_id: ContainerId, within_s: float) -> bool:
        """Whether it ended in time."""
        ended = self._ended.setdefault(container_id, asyncio.Event())
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            last = self.ledger.last(container_id)
            if last is None or not last.running:
                return True
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0:
                return False
            ended.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), min(left_s, SETTLE_MAX_S))
                continue
            with contextlib.suppress(NoSuchContainer):
                await self.look(container_id)

    def follow(self) -> None:
        """Start to follow the engine's events, once."""
        if self._follower is None:
            self._follower = asyncio.create_task(self._follow())

    async def close(self) -> None:
        self._exits.close()
        tasks = [*self._tasks, *([self._follower] if self._follower else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.fanout.close()

    def _tell(self, events: list[ContainerEvent]) -> None:
        for event in events:
            if event.kind is EventKind.EXITED and event.container_id in self._ended:
                self._ended[event.container_id].set()
            self.fanout.tell(event)

    def _forget(self, container_id: ContainerId) -> None:
        self._exits.drop(container_id)
        self._ended.pop(container_id, None)
        self._locks.pop(container_id, None)

    def _process_ended(self, name: str) -> None:
        self._spawn(self._settle(ContainerId(name)))

    async def _settle(self, container_id: ContainerId) -> None:
        """The container's process is gone: look until the engine has noticed, too."""
        ended = self.ledger.last(container_id)
        delay_s = SETTLE_FIRST_S
        with contextlib.suppress(ContainerRuntimeError, TimeoutError):
            async with asyncio.timeout(SETTLE_WITHIN_S):
                while ended is not None:
                    look = await self.look(container_id)
                    if not look.running or look.started_at != ended.started_at:
                        return
                    self._exits.drop(container_id)
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 2, SETTLE_MAX_S)

    async def _follow(self) -> None:
        delay_s = RECONNECT_FIRST_S
        filters = json.dumps({"type": ["container"], "label": [f"{CLUSTER_LABEL}={self._cluster}"]})
        while True:
            try:
                async with self._streams.open("GET", "/events", {"stream": True, "filters": filters}) as reader:
                    self.fanout.connected()
                    delay_s = RECONNECT_FIRST_S
                    async for event in json_lines(reader):
                        self._hinted(event)
                LOG.warning("podman.events_ended")
            except (ContainerRuntimeError, ValueError) as error:
                LOG.warning("podman.events_lost", error=str(error), retry_s=delay_s)
            self.fanout.disconnected()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RECONNECT_MAX_S)

    def _hinted(self, event: dict[str, Any]) -> None:
        actor = event.get("Actor") or {}
        action = event.get("Action", "")
        if action not in _HINTS or not self._is_ours(actor.get("Attributes") or {}):
            return
        container_id = ContainerId(actor.get("ID", ""))
        if self.ledger.worth_a_look(container_id, action, float(event.get("timeNano", 0)) / 1e9):
            self._spawn(self._look_quietly(container_id))

    async def _look_quietly(self, container_id: ContainerId) -> None:
        with contextlib.suppress(ContainerRuntimeError):
            await self.look(container_id)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def is_process_of(container_id: ContainerId, pid: int) -> bool:
    """Whether the process is that container's: not where the engine counts pids in another namespace."""
    try:
        return container_id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
