"""Takes snapshots of the state machine and puts received ones in its place, in steps between which others have a turn.

A hundred thousand objects take half a second to pack or to read. Done in one go that would be half a second without
ticks, probes and answers; so each step does one piece, about a millisecond, and then gives way. What a snapshot holds
is settled when it begins (`Store.view`); entries that are applied meanwhile come after it.
"""

import asyncio
from collections.abc import Callable

import structlog

from swarmlet.drivers.signal import listening
from swarmlet.drivers.state_machine import StateMachine
from swarmlet.model.pieces import SnapshotData, joined, pieces_of
from swarmlet.raft import Compact
from swarmlet.store import Restoring, Store, StoreView

RESTORE_STEP_BYTES = 128 * 1024
"""Reading a piece costs about twice what packing it does."""

log = structlog.get_logger()


async def packed(view: StoreView) -> SnapshotData:
    parts: list[bytes] = []
    for piece in view.pieces():
        parts.append(piece)
        await asyncio.sleep(0)
    return joined(parts)


async def restored(data: SnapshotData) -> Store:
    """Raises `UnreadableSnapshot`."""
    restoring = Restoring()
    for piece in pieces_of(data, RESTORE_STEP_BYTES):
        restoring.feed(piece)
        await asyncio.sleep(0)
    return restoring.finish()


class SnapshotKeeper:
    """Does for a state machine what takes long. `compact` hands a finished snapshot to Raft."""

    def __init__(self, machine: StateMachine, compact: Callable[[Compact], None]) -> None:
        self._machine, self._compact = machine, compact
        self.taken = self.installed = 0

    async def run(self) -> None:
        """Until cancelled. Raises `UnreadableSnapshot`: a peer's state that can't be read must not be passed over."""
        with listening(self._machine.applied) as woken:
            while True:
                woken.clear()
                if self._machine.received is not None:
                    await self._install()
                elif self._machine.snapshot_is_due:
                    await self._take()
                else:
                    await woken.wait()

    async def _take(self) -> None:
        machine = self._machine
        index, view, epoch = machine.applied_index, machine.store.view(), machine.epoch
        data = await packed(view)
        if machine.epoch != epoch:
            return  # The state was replaced meanwhile: what was packed is not to be kept.
        machine.snapshot_taken(index)
        self.taken += 1
        log.info("snapshot_taken", index=index, revision=view.revision, size_bytes=len(data))
        self._compact(Compact(index, data))

    async def _install(self) -> None:
        snapshot = self._machine.received
        assert snapshot is not None
        store = await restored(snapshot.data)
        if self._machine.received is snapshot:
            self._machine.install(snapshot, store)
            self.installed += 1
            log.info("snapshot_installed", index=snapshot.last_index, revision=store.revision)
