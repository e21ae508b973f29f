"""Drives the Raft core: messages, the durable log, the clock; hands what is committed to the state machine.

The rules of this shell:
- `_step` is the only way into the core, and carries out its effects in their order, at once.
- Nothing here waits for anything else: ticks, persistence (its own thread) and sends never block each other.
- A write is retried with the same request id through whoever leads until its deadline; it is applied at most once.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import structlog

from swarmlet.drivers.leader_calls import LeaderCalls, NoLeader, NotTaken
from swarmlet.drivers.replica import Replica
from swarmlet.drivers.sessions import Sessions
from swarmlet.drivers.signal import Signal, listening, wait_at_most
from swarmlet.drivers.state_machine import StateMachine
from swarmlet.model.ids import NodeId
from swarmlet.model.transaction import Transaction
from swarmlet.raft import (
    ApplyEntries,
    ApplySnapshot,
    Effect,
    Entry,
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
    Snapshot,
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
from swarmlet.transport import PeerNetwork

TICK_S = 0.05
RAFT, SUBMIT, READ_INDEX = "raft", "store.submit", "store.read_index"

log = structlog.get_logger()


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
        self._settings, self._storage, self._network, self._rng = settings, storage, network, rng
        self._failure: BaseException | None = None
        self._sessions = Sessions(f"{node_id}-{time.time_ns():x}")
        self._request = 0
        self._proposing: dict[int, asyncio.Future[TransactionResult | None]] = {}
        self._pending: dict[int, _Pending] = {}
        self._reading: dict[int, asyncio.Future[int]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        restored = storage.load()
        self._machine = StateMachine(restored.snapshot, snapshot_every)
        self._leader_calls = LeaderCalls(node_id, network, lambda: self.leader_id, self.role_changed)
        self.raft = Raft(node_id, settings, restored, rng, time.monotonic())
        network.on_notify(RAFT, self._on_raft_message)
        network.on_call(SUBMIT, self._on_submit)
        network.on_call(READ_INDEX, self._on_read_index)

    # What others ask

    @property
    def store(self) -> Store:
        return self._machine.store

    @property
    def replica(self) -> Replica:
        return self._machine.replica

    @property
    def applied(self) -> Signal:
        """Something was applied to the store."""
        return self._machine.applied

    @property
    def applied_index(self) -> int:
        return self._machine.applied_index

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
        A transaction that carries a request id of its own is its client's to repeat; others get one here.
        """
        check_transaction(transaction)
        if transaction.request is not None:
            result = await self._submit(transaction, timeout_s)
        else:
            with self._sessions.borrow() as request:
                result = await self._submit(replace(transaction, request=request), timeout_s)
        await self._wait_applied(lambda: self.store.revision >= result.revision, timeout_s)
        return result

    async def _submit(self, transaction: Transaction, timeout_s: float) -> TransactionResult:
        answer = await self._leader_calls.call(SUBMIT, encode_transaction(transaction), self._propose, timeout_s)
        return decode_result(answer)

    async def barrier(self, timeout_s: float = 5.0) -> int:
        """After it, this peer's replica holds every write acknowledged before the call (Raft thesis §6.4)."""
        answer = await self._leader_calls.call(READ_INDEX, b"", self._read_index, timeout_s)
        index = int.from_bytes(answer)
        await self._wait_applied(lambda: self.applied_index >= index, timeout_s)
        return self.store.revision

    async def change_membership(self, change: MembershipChange, timeout_s: float = 5.0) -> None:
        """Leader only. Raises `NotTaken` where the core refuses it, with its reason."""
        async with asyncio.timeout(timeout_s):
            await self._proposed(lambda request: ProposeMembership(request, change))

    def transfer_leadership(self) -> None:
        self._step(TransferLeadership(None))

    # As the leader, for itself and for others

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
                self._install(snapshot)
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
        for entry, result in self._machine.apply(entries):
            pending = self._pending.pop(entry.index, None)
            if pending is not None and not pending.result.done():
                if pending.term == entry.term:
                    pending.result.set_result(result)
                else:
                    pending.result.set_exception(NotTaken(Refusal.NOT_LEADER, self.leader_id))
        if (compaction := self._machine.compaction()) is not None:
            self._step(compaction)

    def _install(self, snapshot: Snapshot) -> None:
        self._machine.install(snapshot)
        for lost in [at for at in self._pending if at <= snapshot.last_index]:
            pending = self._pending.pop(lost)
            if not pending.result.done():
                pending.result.set_exception(NotTaken(Refusal.NOT_LEADER, self.leader_id))
