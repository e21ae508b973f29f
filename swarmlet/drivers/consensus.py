"""Drives the Raft core: messages, the durable log, the clock; hands what is committed to the state machine.

The rules of this shell:
- `_post` is the way into the core. All events of one turn of the event loop are one step: what they write is
  synced together, and what they send goes out together. Effects are carried out in their order, at once.
- Nothing here waits for anything else: ticks, persistence (its own thread) and sends never block each other.
- A write is retried with the same request id through whoever leads until its deadline; it is applied at most once.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from random import Random

import structlog

from swarmlet.drivers.leader_calls import LeaderCalls, NoLeader, NotTaken
from swarmlet.drivers.replica import Replica
from swarmlet.drivers.sessions import Sessions
from swarmlet.drivers.signal import Signal
from swarmlet.drivers.snapshots import SnapshotKeeper
from swarmlet.drivers.state_machine import StateMachine
from swarmlet.drivers.watermark import Watermark
from swarmlet.model.ids import NodeId
from swarmlet.model.transaction import Transaction
from swarmlet.raft import (
    ApplyEntries,
    ApplySnapshot,
    Effect,
    Entry,
    Event,
    LeaderUnreachable,
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
    VersionUnknown,
    Wire,
    bootstrap_state,
)
from swarmlet.storage import RaftStorage
from swarmlet.store import (
    STORE_SIZE_BYTES_MAX,
    Room,
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
class _Proposal:
    """Taken into the log it waits to be applied; it is lost when an entry of another term takes its index."""

    result: asyncio.Future[bytes]
    """The encoded result of a transaction; empty for a change of the membership."""
    transaction: Transaction | None
    term: int = 0


class Consensus:
    def __init__(
        self,
        node_id: NodeId,
        settings: RaftSettings,
        storage: RaftStorage,
        network: PeerNetwork,
        rng: Random,
        snapshot_every: int,
        store_size_bytes_max: int = STORE_SIZE_BYTES_MAX,
    ) -> None:
        self.node_id = node_id
        self.role_changed = Signal()
        self.room = Room(store_size_bytes_max)
        self._settings, self._storage, self._network, self._rng = settings, storage, network, rng
        self._failure: BaseException | None = None
        self._wire = Wire()
        self._not_understood: set[NodeId] = set()
        self._sessions = Sessions(f"{node_id}-{time.time_ns():x}")
        self._request = 0
        self._inbox: list[Event] = []
        self._proposing: dict[int, _Proposal] = {}
        """Not taken yet, by request."""
        self._pending: dict[int, _Proposal] = {}
        """In the log, by index."""
        self._reading: dict[int, asyncio.Future[bytes]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        restored = storage.load()
        self._machine = StateMachine(restored.snapshot, snapshot_every, self._applied)
        self._keeper = SnapshotKeeper(self._machine, self._step)
        self._leader_calls = LeaderCalls(node_id, network, lambda: self.leader_id)
        self.raft = Raft(node_id, settings, restored, rng, time.monotonic())
        network.on_notify(RAFT, self._on_raft_message)
        network.on_refused(lambda peer: self._post(LeaderUnreachable(peer)))
        network.on_prompt_call(SUBMIT, self._on_submit)
        network.on_prompt_call(READ_INDEX, self._on_read_index)

    # What others ask

    @property
    def machine(self) -> StateMachine:
        return self._machine

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
    def snapshots(self) -> SnapshotKeeper:
        return self._keeper

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
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.run())
            while self._failure is None:
                self._post(Tick())
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
        await self._wait_applied(self._machine.revision_reached, result.revision, timeout_s)
        return result

    async def _submit(self, transaction: Transaction, timeout_s: float) -> TransactionResult:
        answer = await self._leader_calls.call(SUBMIT, encode_transaction(transaction), self._propose, timeout_s)
        return decode_result(answer)

    async def barrier(self, timeout_s: float = 5.0) -> int:
        """After it, this peer's replica holds every write acknowledged before the call (Raft thesis §6.4)."""
        answer = await self._leader_calls.call(READ_INDEX, b"", self._read_index, timeout_s)
        index = int.from_bytes(answer)
        await self._wait_applied(self._machine.index_reached, index, timeout_s)
        return self.store.revision

    async def change_membership(self, change: MembershipChange, timeout_s: float = 5.0) -> None:
        """Leader only. Raises `NotTaken` where the core refuses it, with its reason."""
        async with asyncio.timeout(timeout_s):
            proposal = self._new_proposal(None)
            self._post(ProposeMembership(self._request, change))
            await proposal.result

    def transfer_leadership(self) -> None:
        self._step(TransferLeadership(None))

    # As the leader, for itself and for others

    def _on_submit(self, _sender: NodeId, body: bytes) -> asyncio.Future[bytes]:
        return self._propose(body)

    def _on_read_index(self, _sender: NodeId, body: bytes) -> asyncio.Future[bytes]:
        return self._read_index(body)

    def _propose(self, body: bytes) -> asyncio.Future[bytes]:
        """Raises what is wrong with it; the future gets the result once it is applied, or `NotTaken`."""
        transaction = decode_transaction(body)
        check_transaction(transaction, len(body))
        growth_bytes = self.room.take(self.store, transaction)
        proposal = self._new_proposal(transaction)
        if growth_bytes:
            proposal.result.add_done_callback(lambda _: self.room.release(growth_bytes))
        self._post(Propose(self._request, body))
        return proposal.result

    def _new_proposal(self, transaction: Transaction | None) -> _Proposal:
        """Known by `self._request` from now on."""
        self._request += 1
        proposal = _Proposal(asyncio.get_running_loop().create_future(), transaction)
        self._proposing[self._request] = proposal
        return proposal

    def _read_index(self, _body: bytes) -> asyncio.Future[bytes]:
        self._request += 1
        ready: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._reading[self._request] = ready
        self._post(ReadRequest(self._request))
        return ready

    async def _wait_applied(self, mark: Watermark, value: int, timeout_s: float) -> None:
        if not await mark.reach(value, timeout_s):
            raise NoLeader(timeout_s, "the write is committed, but this peer has not caught up with it")

    # The core's effects

    def _on_raft_message(self, sender: NodeId, body: bytes) -> None:
        try:
            message = self._wire.decode(sender, body)
        except VersionUnknown as error:
            if sender not in self._not_understood:
                self._not_understood.add(sender)
                log.warning("raft_version_unknown", peer=sender, error=str(error))
            self._network.notify(sender, RAFT, self._wire.notice())
            return
        if message is not None:
            self._post(MessageReceived(sender, message))

    def _post(self, event: Event) -> None:
        self._inbox.append(event)
        if len(self._inbox) == 1:
            asyncio.get_running_loop().call_soon(self._step_posted)

    def _step_posted(self) -> None:
        try:
            self._step()
        except Exception as error:
            # A core whose rules were broken must not go on.
            log.exception("raft_step_failed")
            self._failure = self._failure or error

    def _step(self, *events: Event) -> None:
        """What was posted so far and then these, at once."""
        posted, self._inbox = [*self._inbox, *events], []
        if posted:
            for effect in self.raft.step_all(posted, time.monotonic()):
                self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(to, message):
                self._network.notify(to, RAFT, self._wire.encode(to, message))
            case Persist():
                self._storage.write(effect, self._persisted_in_thread)
            case ApplyEntries(entries):
                self._machine.apply(entries)
            case ApplySnapshot(snapshot):
                self._install(snapshot)
            case ProposalAccepted(request, index, term):
                self._accepted(self._proposing.pop(request), index, term)
            case ProposalRefused(request, reason, leader):
                _refuse(self._proposing.pop(request).result, NotTaken(reason, leader))
            case ReadRefused(request, reason, leader):
                _refuse(self._reading.pop(request), NotTaken(reason, leader))
            case ReadReady(request, index):
                ready = self._reading.pop(request)
                if not ready.done():
                    ready.set_result(index.to_bytes(8))
            case RoleChanged(role, term, leader_id):
                log.info("raft_role_changed", role=role, term=term, leader=leader_id)
                self._leader_calls.leader_changed()
                self.role_changed.set()

    def _accepted(self, proposal: _Proposal, index: int, term: int) -> None:
        proposal.term = term
        self._pending[index] = proposal
        if proposal.transaction is not None:
            self._machine.expect(index, term, proposal.transaction)

    def _persisted_in_thread(self, sequence: int, error: BaseException | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._persisted, sequence, error)

    def _persisted(self, sequence: int, error: BaseException | None) -> None:
        if error is not None:
            self._failure = self._failure or error
            return
        self._post(PersistDone(sequence))

    def _applied(self, entry: Entry, result: TransactionResult | None) -> None:
        proposal = self._pending.pop(entry.index, None)
        if proposal is None or proposal.result.done():
            return
        if proposal.term == entry.term:
            proposal.result.set_result(b"" if result is None else encode_result(result))
        else:
            _refuse(proposal.result, NotTaken(Refusal.NOT_LEADER, self.leader_id))

    def _install(self, snapshot: Snapshot) -> None:
        self._machine.receive(snapshot)
        for lost in [at for at in self._pending if at <= snapshot.last_index]:
            _refuse(self._pending.pop(lost).result, NotTaken(Refusal.NOT_LEADER, self.leader_id))


def _refuse(waiting: asyncio.Future[bytes], error: NotTaken) -> None:
    if not waiting.done():
        waiting.set_exception(error)
