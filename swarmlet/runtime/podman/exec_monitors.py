"""Ends what the engine leaves behind each command it ran in a container.

Podman's API keeps two processes and a record of every such command for five minutes, as Docker keeps the
result. A probe every second would keep six hundred processes a container that way. The inner of the two only
sleeps before it has the engine tidy up: SIGTERM ends its sleep, and the engine tidies up at once.

Works where agent and engine see the same processes; elsewhere nothing is found and nothing is lost.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

SWEEP_AFTER_S = (0.05, 0.2, 1.0)
"""The monitor begins to sleep a moment after the command's result is known."""
SESSIONS_WAITING_MAX = 1_000
"""More are left to the engine's own five minutes."""


class ExecMonitors:
    def __init__(self) -> None:
        self._waiting: dict[str, int] = {}
        """Session -> how often it was swept without being found."""
        self._sweeper: asyncio.Task[None] | None = None

    def ended(self, session: str) -> None:
        """A command is over and its result was read."""
        if len(self._waiting) < SESSIONS_WAITING_MAX:
            self._waiting[session] = 0
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """A last sweep, so that a stopped agent leaves nothing."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        if self._waiting:
            await asyncio.to_thread(end_monitors, frozenset(self._waiting))

    async def _sweep(self) -> None:
        """One search for all that wait, more patient with each that isn't found."""
        while self._waiting:
            await asyncio.sleep(SWEEP_AFTER_S[min(self._waiting.values())])
            wanted = frozenset(self._waiting)
            found = await asyncio.to_thread(end_monitors, wanted)
            for session in wanted:
                tries = self._waiting.pop(session) + 1
                if session not in found and tries < len(SWEEP_AFTER_S):
                    self._waiting[session] = tries


def end_monitors(sessions: frozenset[str]) -> set[str]:
    """Wake the sleeping monitors of these sessions; those that had one."""
    monitors = list(_monitors(sessions))
    pids = {pid for pid, _, _ in monitors}
    found = set()
    for pid, parent, session in monitors:
        # The outer one waits for the inner: it is left alone.
        if parent in pids:
            found.add(session)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)
    return found


def _monitors(sessions: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    """Pid, parent and session of each."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if (process / "comm").read_text() != "conmon\n":
                continue
            words = (process / "cmdline").read_text().split("\0")
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        named = words[words.index("-u") + 1] if "-u" in words else ""
        if named in sessions:
            yield int(process.name), parent, named
