"""Takes snapshots of the state machine and puts received ones in its place, in steps between which others have a turn.

A hundred thousand objects take half a second to pack or to read. Done in one go that would be half a second without
ticks, probes and answers; so each step does one piece, about a millisecond, and then gives way. What a snapshot holds
is settled when it begins (`Store.view`); entries that are applied meanwhile come after it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from swarmlet.drivers.signal import listening
from swarmlet.drivers.state_machine import StateMachine
from swarmlet.errors import SwarmletError
from swarmlet.model.pieces import SnapshotData, joined, pieces_of
from swarmlet.raft import Compact
from swarmlet.store import Restoring, Store, StoreView

STAGE_BYTES = 512 * 1024
"""Written to disk in one go, between two writes of the log."""
FAILED_PAUSE_S = 5.0
PACKING_SHARE = 0.25
"""Of the event loop's time. All nodes pack at the same index, so none can wait for another's answers meanwhile."""
RESTORE_STEP_BYTES = 128 * 1024
"""Reading a piece costs about twice what packing it does."""

log = structlog.get_logger()


class Steps:
    """Work that gives way to others between its steps, and the longest time that one of them held them up."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._began_at = time.perf_counter()

    async def give_way(self, share: float = 1.0) -> None:
        """Go on when everybody else had a turn, and no sooner than this work has had its share of the time."""
        took_s = self.end()
        await asyncio.sleep(took_s / share - took_s)
        self.begin()

    def begin(self) -> None:
        self._began_at = time.perf_counter()

    def end(self) -> float:
        took_s = time.perf_counter() - self._began_at
        self.longest_s = max(self.longest_s, took_s)
        return took_s


Stage = Callable[[int, int, Sequence[bytes]], Awaitable[None]]
"""Writes pieces of a coming snapshot to disk: (its last index, the number of the first piece, the pieces)."""


async def packed(view: StoreView, index: int, stage: Stage, steps: Steps) -> SnapshotData:
    """The snapshot, all of it staged unless it is small. Raises what `stage` raises."""
    parts: list[bytes] = []
    staged = waiting_bytes = 0
    for piece in view.pieces():
        parts.append(piece)
        waiting_bytes += len(piece)
        if waiting_bytes >= STAGE_BYTES:
            steps.end()
            await stage(index, staged, parts[staged:])
            steps.begin()
            staged, waiting_bytes = len(parts), 0
        else:
            await steps.give_way(PACKING_SHARE)
    if 0 < staged < len(parts):
        steps.end()
        await stage(index, staged, parts[staged:])
        steps.begin()
    return joined(parts)


async def restored(data: SnapshotData, steps: Steps) -> Store:
    """Raises `UnreadableSnapshot`."""
    restoring = Restoring()
    for piece in pieces_of(data, RESTORE_STEP_BYTES):
        restoring.feed(piece)
        await steps.give_way()
    return restoring.finish()


class SnapshotKeeper:
    """Does for a state machine what takes long. `stage` writes pieces, `compact` hands a finished snapshot to Raft."""

    def __init__(self, machine: StateMachine, stage: Stage, compact: Callable[[Compact], None]) -> None:
        self._machine, self._stage, self._compact = machine, stage, compact
        self.taken = self.installed = 0
        self.longest_step_s = 0.0
        """For which one step held up the event loop."""

    async def run(self) -> None:
        """Until cancelled. Raises `UnreadableSnapshot`: a peer's state that can't be read must not be passed over."""
        with listening(self._machine.applied) as woken:
            while True:
                woken.clear()
                if self._machine.received is not None:
                    await self._install()
                elif self._machine.snapshot_is_due:
                    try:
                        await self._take()
                    except SwarmletError as error:
                        # The disk's: whoever writes the log says more. What was staged counts for nothing.
                        log.error("snapshot_not_taken", error=str(error), again_in_s=FAILED_PAUSE_S)
                        await asyncio.sleep(FAILED_PAUSE_S)
                else:
                    await woken.wait()

    async def _take(self) -> None:
        machine, steps = self._machine, Steps()
        index, view, epoch = machine.applied_index, machine.store.view(), machine.epoch
        data = await packed(view, index, self._stage, steps)
        if machine.epoch != epoch:
            return  # The state was replaced meanwhile: what was packed is not to be kept.
        machine.snapshot_taken(index)
        self.taken += 1
        self._compact(Compact(index, data))
        self._ended(steps, "snapshot_taken", index, view.revision, len(data))

    async def _install(self) -> None:
        snapshot = self._machine.received
        assert snapshot is not None
        steps = Steps()
        store = await restored(snapshot.data, steps)
        if self._machine.received is snapshot:
            self._machine.install(snapshot, store)
            self.installed += 1
            self._ended(steps, "snapshot_installed", snapshot.last_index, store.revision, len(snapshot.data))

    def _ended(self, steps: Steps, event: str, index: int, revision: int, size_bytes: int) -> None:
        steps.end()
        self.longest_step_s = max(self.longest_step_s, steps.longest_s)
        longest_ms = round(steps.longest_s * 1_000, 1)
        log.info(event, index=index, revision=revision, size_bytes=size_bytes, longest_step_ms=longest_ms)
