"""Asks a peer for its whole state, and gives this peer's to others: how a replica that went wrong gets right again.

The answer is a stream: first [applied index, hash of the state], then the pieces of a snapshot of just that state. It
waits until the peer has applied what the asker names, so that the asker never goes back.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgpack

from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.signal import listening
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.raft import Entry, EntryKind
from swarmlet.store import Restoring, Store, decode_transaction
from swarmlet.transport import PeerNetwork

STATE = "store.state"
REACH_TIMEOUT_S = 5.0
"""A peer that has not applied within it what the asker has is no help."""
TRANSFER_TIMEOUT_S = 120.0
CATCH_UP_STEP = 50
"""Entries applied between two turns of the event loop."""


class StateNotGiven(SwarmletError):
    """A peer can't give its state, or what it gave can't be used. Another peer, or a later attempt, may do."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no state to heal from: {reason}")


class StateTransfer:
    def __init__(self, consensus: Consensus, network: PeerNetwork) -> None:
        self._consensus, self._network = consensus, network
        network.on_stream(STATE, self._give)

    async def fetch(self, peer: NodeId) -> tuple[Store, int]:
        """The peer's state and the index up to which it is applied: not before this peer's own at the call.

        Raises `StateNotGiven`, `UnreadableSnapshot`, `TimeoutError` and the network's errors.
        """
        request: bytes = msgpack.packb(self._consensus.applied_index)
        async with asyncio.timeout(TRANSFER_TIMEOUT_S), aclosing(self._network.stream(peer, STATE, request)) as items:
            index, state_hash = _head(peer, await anext(items, b""))
            restoring = Restoring()
            async for piece in items:
                restoring.feed(piece)
        store = restoring.finish()
        if store.state_hash() != state_hash:
            raise StateNotGiven(f"what {peer} sent is not what it holds")
        return store, index

    async def bring_up(self, store: Store, index: int) -> None:
        """Apply what follows `index` until the store is exactly as far as this peer. Raises `StateNotGiven`."""
        consensus = self._consensus
        async with asyncio.timeout(REACH_TIMEOUT_S):
            await self._reach(index)
        while index < consensus.applied_index:
            entries = consensus.raft.applied_entries(index)
            if entries is None:
                raise StateNotGiven(f"the log after {index} was compacted meanwhile")
            for entry in entries[:CATCH_UP_STEP]:
                if entry.index <= consensus.applied_index:
                    _apply(store, entry)
                    index = entry.index
            if index < consensus.applied_index:
                await asyncio.sleep(0)

    async def _reach(self, index: int) -> None:
        with listening(self._consensus.applied) as applied:
            while self._consensus.applied_index < index:
                applied.clear()
                await applied.wait()

    async def _give(self, _sender: NodeId, body: bytes) -> AsyncGenerator[bytes, None]:
        wanted = int(msgpack.unpackb(body))
        try:
            async with asyncio.timeout(REACH_TIMEOUT_S):
                await self._reach(wanted)
        except TimeoutError as error:
            raise StateNotGiven(f"this peer has not applied entry {wanted} yet") from error
        machine = self._consensus.machine
        if machine.distrusted:
            raise StateNotGiven("this peer's own state is in doubt")
        view = machine.store.view()
        head: bytes = msgpack.packb((machine.applied_index, machine.store.state_hash()))
        yield head
        for piece in view.pieces():
            yield piece
            await asyncio.sleep(0)


def _head(peer: NodeId, item: bytes) -> tuple[int, str]:
    try:
        index, state_hash = msgpack.unpackb(item)
        return int(index), str(state_hash)
    except (msgpack.UnpackException, ValueError, TypeError) as error:
        raise StateNotGiven(f"{peer} answers with something else") from error


def _apply(store: Store, entry: Entry) -> None:
    if entry.kind is EntryKind.NORMAL:
        store.apply(entry.index, decode_transaction(entry.data))
