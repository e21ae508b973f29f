"""Drives the Raft core: messages, the durable log, the clock; applies what is committed to the store.

The rules of this shell:
- `_step` is the only way into the core, and carries out its effects in their order, at once.
- Nothing here waits for anything else: ticks, persistence (its own thread) and sends never block each other.
- A write is retried with the same request id through whoever leads until its deadline; it is applied at most once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import structlog

from swarmlet.drivers.replica import Replica
from swarmlet.drivers.sessions import Sessions
from swarmlet.drivers.signal import Signal, listening, wait_at_most
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.model.transaction import Transaction
from swarmlet.raft import (
    ApplyEntries,
    ApplySnapshot,
    Compact,
    Effect,
    Entry,
    EntryKind,
    Event,
    MembershipChange,
    MessageReceived,
    Persist,
    PersistDone,
    ProposalAccepted,
    ProposalRefused,
    Propose,
    ProposeMembership,
    Raft,
    RaftSettings,
    ReadReady,
    ReadRefused,
    ReadRequest,
    Refusal,
    Role,
    RoleChanged,
    Send,
    Tick,
    TransferLeadership,
    bootstrap_state,
    decode_message,
    encode_message,
)
from swarmlet.storage import RaftStorage
from swarmlet.store import (
    Store,
    TransactionResult,
    check_transaction,
    decode_result,
    decode_transaction,
    encode_result,
    encode_transaction,
)
from swarmlet.transport import PeerNetwork, PeerTimeout, PeerUnavailable, RemoteError

TICK_S = 0.05
RETRY_PAUSE_S = 0.05
RAFT, SUBMIT, READ_INDEX = "raft", "store.submit", "store.read_index"

log = structlog.get_logger()


class NotTaken(SwarmletError):
    """This node's Raft did not take a proposal or a read, mostly because it does not lead. Others may."""

    def __init__(self, reason: Refusal, leader: NodeId | None) -> None:
        super().__init__(f"not taken: {reason}; the leader is {leader or 'not known'}")
        self.reason = reason
        self.leader = leader


class NoLeader(SwarmletError):
    """A write or a linearizable read found no leader, or no answer from it, in its time. It may be tried again."""

    def __init__(self, waited_s: float, last: str) -> None:
        super().__init__(f"no leader answered within {waited_s:.1f} s ({last or 'none is elected'})")
        self.waited_s = waited_s


@dataclass(slots=True)
class _Pending:
    """A proposal in the log, waiting to be applied; lost when an entry of another term takes its index."""

    term: int
    result: asyncio.Future[TransactionResult | None]


class Consensus:
    def __init__(
        self,
        node_id: NodeId,
        settings: RaftSettings,
        storage: RaftStorage,
        network: PeerNetwork,
        rng: Random,
        snapshot_every: int,
    ) -> None:
        self.node_id = node_id
        self.role_changed = Signal()
        self.applied = Signal()
        self._settings, self._storage, self._network, self._rng = settings, storage, network, rng
        self._snapshot_every = snapshot_every
        self._failure: BaseException | None = None
        self._sessions = Sessions(f"{node_id}-{time.time_ns():x}")
        self._request = 0
        self._proposing: dict[int, asyncio.Future[TransactionResult | None]] = {}
        self._pending: dict[int, _Pending] = {}
        self._reading: dict[int, asyncio.Future[int]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        restored = storage.load()
        self.store = Store.restore(restored.snapshot.data) if restored.snapshot else Store()
        self._compacted_index = restored.snapshot.last_index if restored.snapshot else 0
        self.raft = Raft(node_id, settings, restored, rng, time.monotonic())
        self.applied_index = self._compacted_index
        self.replica = Replica(self.store)
        network.on_notify(RAFT, self._on_raft_message)
        network.on_call(SUBMIT, self._on_submit)
        network.on_call(READ_INDEX, self._on_read_index)

    # What others ask

    @property
    def formed(self) -> bool:
        """Whether this node belongs to a cluster: it has seen a configuration with voters."""
        return bool(self.raft.membership.voters)

    @property
    def is_leader(self) -> bool:
        return self.raft.role is Role.LEADER

    @property
    def leader_id(self) -> NodeId | None:
        return self.raft.leader_id

    async def bootstrap(self) -> None:
        """Make this node the only voter of a new cluster. Only for a node that has no state at all."""
        assert not self.formed, "a node that belongs to a cluster must not form another"
        restored = bootstrap_state(self.node_id)
        await asyncio.to_thread(self._storage.initialize, restored)
        self.raft = Raft(self.node_id, self._settings, restored, self._rng, time.monotonic())
        log.info("cluster_bootstrapped", node=self.node_id)

    async def run(self) -> None:
        """Until cancelled. Raises the storage's error: without its log a node may acknowledge nothing, so it stops."""
        self._loop = asyncio.get_running_loop()
        while self._failure is None:
            self._step(Tick())
            await asyncio.sleep(TICK_S)
        raise self._failure

    async def submit(self, transaction: Transaction, timeout_s: float = 5.0) -> TransactionResult:
        """Commit a transaction through whoever leads.

        Returns when this peer has applied it too, so that a read here sees it. Raises `NoLeader` when no leader
        took it in time; it is then unknown whether it will be applied. Raises the store's limit errors at once.
        """
        check_transaction(transaction)
        with self._sessions.borrow() as request:
            body = encode_transaction(replace(transaction, request=request))
            answer = await self._through_leader(SUBMIT, body, self._propose, timeout_s)
        result = decode_result(answer)
        await self._wait_applied(lambda: self.store.revision >= result.revision, timeout_s)
        return result

    async def barrier(self, timeout_s: float = 5.0) -> int:
        """After it, this peer's replica holds every write acknowledged before the call (Raft thesis §6.4)."""
        answer = await self._through_leader(READ_INDEX, b"", self._read_index, timeout_s)
        index = int.from_bytes(answer)
        await self._wait_applied(lambda: self.applied_index >= index, timeout_s)
        return self.store.revision

    async def change_membership(self, change: MembershipChange, timeout_s: float = 5.0) -> None:
        """Leader only. Raises `NotTaken` where the core refuses it, with its reason."""
        async with asyncio.timeout(timeout_s):
            await self._proposed(lambda request: ProposeMembership(request, change))

    def transfer_leadership(self) -> None:
        self._step(TransferLeadership(None))

    # Through the leader, wherever it is

    async def _through_leader(
        self, method: str, body: bytes, locally: Callable[[bytes], Awaitable[bytes]], timeout_s: float
    ) -> bytes:
        deadline = time.monotonic() + timeout_s
        last = ""
        with listening(self.role_changed) as changed:
            while (left_s := deadline - time.monotonic()) > 0:
                changed.clear()
                leader = self.leader_id
                if leader is None:
                    await wait_at_most(changed, left_s)
                    continue
                asked = locally(body) if self.is_leader else self._network.call(leader, method, body, left_s)
                attempt = asyncio.ensure_future(asked)
                try:
                    answer = await _unless(attempt, changed, left_s)
                except (NotTaken, PeerUnavailable, PeerTimeout) as error:
                    last = str(error)
                except RemoteError as error:
                    if error.code not in (NotTaken.__name__, NoLeader.__name__):
                        raise
                    last = str(error)
                else:
                    if answer is not None:
                        return answer
                await wait_at_most(changed, min(RETRY_PAUSE_S, deadline - time.monotonic()))
        raise NoLeader(timeout_s, last)

    async def _on_submit(self, _sender: NodeId, body: bytes) -> bytes:
        return await self._propose(body)

    async def _on_read_index(self, _sender: NodeId, body: bytes) -> bytes:
        return await self._read_index(body)

    async def _propose(self, body: bytes) -> bytes:
        check_transaction(decode_transaction(body))
        result = await self._proposed(lambda request: Propose(request, body))
        assert result is not None, "a committed transaction has a result"
        return encode_result(result)

    async def _proposed(self, event: Callable[[int], Event]) -> TransactionResult | None:
        request = self._next_request()
        done: asyncio.Future[TransactionResult | None] = asyncio.get_running_loop().create_future()
        self._proposing[request] = done
        try:
            self._step(event(request))
            return await done
        finally:
            self._proposing.pop(request, None)

    async def _read_index(self, _body: bytes) -> bytes:
        request = self._next_request()
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._reading[request] = ready
        try:
            self._step(ReadRequest(request))
            return (await ready).to_bytes(8)
        finally:
            self._reading.pop(request, None)

    def _next_request(self) -> int:
        self._request += 1
        return self._request

    async def _wait_applied(self, reached: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        with listening(self.applied) as applied:
            while not reached():
                applied.clear()
                if not await wait_at_most(applied, deadline - time.monotonic()):
                    raise NoLeader(timeout_s, "the write is committed, but this peer has not caught up with it")

    # The core's effects

    def _on_raft_message(self, sender: NodeId, body: bytes) -> None:
        self._step(MessageReceived(sender, decode_message(body)))

    def _step(self, event: Event) -> None:
        for effect in self.raft.step(event, time.monotonic()):
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(to, message):
                self._network.notify(to, RAFT, encode_message(message))
            case Persist():
                self._storage.write(effect, self._persisted_in_thread)
            case ApplyEntries(entries):
                self._apply(entries)
            case ApplySnapshot(snapshot):
                self._install(snapshot.data, snapshot.last_index)
            case ProposalAccepted(request, index, term):
                self._pending[index] = _Pending(term, self._proposing[request])
            case ProposalRefused(request, reason, leader) | ReadRefused(request, reason, leader):
                waiting = self._proposing.get(request) or self._reading.get(request)
                if waiting is not None and not waiting.done():
                    waiting.set_exception(NotTaken(reason, leader))
            case ReadReady(request, index):
                ready = self._reading.get(request)
                if ready is not None and not ready.done():
                    ready.set_result(index)
            case RoleChanged(role, term, leader_id):
                log.info("raft_role_changed", role=role, term=term, leader=leader_id)
                self.role_changed.set()

    def _persisted_in_thread(self, sequence: int, error: BaseException | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._persisted, sequence, error)

    def _persisted(self, sequence: int, error: BaseException | None) -> None:
        if error is not None:
            self._failure = self._failure or error
            return
        self._step(PersistDone(sequence))

    def _apply(self, entries: tuple[Entry, ...]) -> None:
        before = self.store.revision
        for entry in entries:
            result = None
            if entry.kind is EntryKind.NORMAL:
                result = self.store.apply(entry.index, decode_transaction(entry.data))
            self.applied_index = entry.index
            pending = self._pending.pop(entry.index, None)
            if pending is not None and not pending.result.done():
                if pending.term == entry.term:
                    pending.result.set_result(result)
                else:
                    pending.result.set_exception(NotTaken(Refusal.NOT_LEADER, self.leader_id))
        if self.store.revision > before:
            self.replica.take(self.store.changes_since(before))
        self.applied.set()
        if self.applied_index - self._compacted_index >= self._snapshot_every:
            self._compacted_index = self.applied_index
            self._step(Compact(self.applied_index, self.store.snapshot()))

    def _install(self, data: bytes, index: int) -> None:
        self.store = Store.restore(data)
        self.applied_index = self._compacted_index = index
        for lost in [at for at in self._pending if at <= index]:
            pending = self._pending.pop(lost)
            if not pending.result.done():
                pending.result.set_exception(NotTaken(Refusal.NOT_LEADER, self.leader_id))
        self.replica.reset(self.store)
        self.applied.set()
        log.info("snapshot_installed", index=index, revision=self.store.revision)


async def _unless(attempt: asyncio.Future[bytes], changed: asyncio.Event, timeout_s: float) -> bytes | None:
    """The attempt's answer, or None when the leader changed or time ran out first (the attempt is then given up)."""
    interrupted = asyncio.ensure_future(changed.wait())
    both: set[asyncio.Future[Any]] = {attempt, interrupted}
    try:
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return attempt.result() if attempt.done() else None
    finally:
        for future in both:
            future.cancel()
        await asyncio.gather(*both, return_exceptions=True)
