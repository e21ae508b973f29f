"""Drives the Raft core: messages, the durable log, the clock; hands what is committed to the state machine.

The rules of this shell:
- `_post` is the way into the core. All events of one turn of the event loop are one step: what they write is
  synced together, and what they send goes out together. Effects are carried out in their order, at once.
- Nothing here waits for anything else: ticks, persistence (its own thread) and sends never block each other.
- When the disk fails, the core is given up as in a crash, and a new one is made of what is really on the disk as soon
  as that can be written again. The state machine stays, so reads and all that runs go on meanwhile.
- Messages say which log they are about (`storage.lineage`); those of other logs never reach the core.
- A write is retried with the same request id through whoever leads until its deadline; it is applied at most once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import structlog

from swarmlet.drivers.leader_calls import LeaderCalls, NoLeader, NotTaken
from swarmlet.drivers.log_filter import LogFilter, LogSuperseded
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
    Compact,
    DiskFailed,
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
    RestoredState,
    Role,
    RoleChanged,
    Send,
    Snapshot,
    Tick,
    TransferLeadership,
    VersionUnknown,
    bootstrap_state,
)
from swarmlet.storage import RaftStorage, StorageFailed, new_lineage
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
FIRST_PAUSE_S, PAUSE_MAX_S = 0.25, 5.0
"""Between two looks at a disk that failed; it doubles."""
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
        """Why there is no core at present, or soon won't be."""
        self._writes_under_way = 0
        self._rests = False
        self.disk_failures = 0
        self._not_understood: set[NodeId] = set()
        self._sessions = Sessions(f"{node_id}-{time.time_ns():x}")
        self._request = 0
        self._inbox: list[Event] = []
        self._gathered: list[Propose] = []
        """Wait for the disk, to share its next write."""
        self._proposing: dict[int, _Proposal] = {}
        """Not taken yet, by request."""
        self._pending: dict[int, _Proposal] = {}
        """In the log, by index."""
        self._reading: dict[int, asyncio.Future[bytes]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        restored = storage.load()
        self._logs = LogFilter(storage)
        self._machine = StateMachine(restored.snapshot, snapshot_every, self._applied)
        self._keeper = SnapshotKeeper(self._machine, self._stage, self._compact)
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
        return self._logs.leader_heard() if self._rests else self.raft.leader_id

    @property
    def counters(self) -> dict[str, int]:
        return {"disk_failures": self.disk_failures, "messages_of_other_logs": self._logs.dropped}

    @property
    def takes_part(self) -> bool:
        """False while the disk takes no writes."""
        return self._failure is None

    def problems(self) -> list[str]:
        """What keeps this node from its part in consensus, a line each."""
        told = self._logs.problems()
        if self._failure is not None:
            told.append(
                f"{self._failure}; until then this node neither leads nor votes nor acknowledges anything, and what it "
                "shows of the cluster stays as it is; it tries again every few seconds"
            )
        elif self.raft.disk_is_stalled:
            told.append("the disk has not finished a write for seconds: this node neither leads nor campaigns")
        if (lost := self.raft.lost_tail) is not None:
            told.append(
                f"the disk has lost the end of the log, of what was acknowledged up to entry {lost.last_index}: this "
                "node votes for nobody until it has caught up; if it is the only voter, see `swarmlet recover`"
            )
        return told

    async def bootstrap(self) -> None:
        """Make this node the only voter of a new cluster. Only for a node that has no state at all."""
        assert not self.formed, "a node that belongs to a cluster must not form another"
        restored = bootstrap_state(self.node_id)
        await asyncio.to_thread(self._storage.initialize, restored, new_lineage())
        self._logs.refresh()
        self.raft = Raft(self.node_id, self._settings, restored, self._rng, time.monotonic())
        log.info("cluster_bootstrapped", node=self.node_id)

    async def run(self) -> None:
        """Until cancelled. Raises `DamagedLog`: without its log a node may say nothing, so it stops. Raises
        `LogSuperseded` when the log has to be put aside."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.run())
            group.create_task(self._leader_calls.run())
            while True:
                while self._failure is None:
                    self._post(Tick())
                    await asyncio.sleep(TICK_S)
                if not isinstance(self._failure, StorageFailed):
                    raise self._failure
                await self._rest(self._failure)

    async def _rest(self, failure: StorageFailed) -> None:
        """From a failure of the disk until there is a new core. Raises `DamagedLog`."""
        self.disk_failures += 1
        log.error("disk_failed", error=str(failure), role=self.raft.role)
        for effect in self.raft.step(DiskFailed(), time.monotonic()):
            self._carry_out(effect)
        self._rests = True
        self._inbox.clear()
        self._gathered.clear()
        waiting = [*(p.result for p in (*self._proposing.values(), *self._pending.values())), *self._reading.values()]
        for unanswered in (self._proposing, self._pending, self._reading):
            unanswered.clear()
        for result in waiting:
            _refuse(result, NotTaken(Refusal.NOT_LEADER, None))
        self._tell_role()
        self._begin_anew(await self._reopened())

    async def _reopened(self) -> RestoredState:
        pause_s = FIRST_PAUSE_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
            if self._writes_under_way:
                continue  # the disk still owes an answer: it can't be used before
            try:
                return await asyncio.to_thread(self._storage.reopen)
            except StorageFailed as error:
                self._failure = error
                log.info("disk_still_fails", error=str(error), again_in_s=pause_s)

    def _begin_anew(self, restored: RestoredState) -> None:
        snapshot, machine = restored.snapshot, self._machine
        if snapshot is not None and snapshot.last_index > machine.applied_index and machine.received is None:
            machine.receive(snapshot)
        self.raft = Raft(self.node_id, self._settings, restored, self._rng, time.monotonic())
        self._failure, self._rests = None, False
        log.info("disk_works_again", last_index=self.raft.last_index, term=self.raft.term)
        self._tell_role()

    def _tell_role(self) -> None:
        self._leader_calls.leader_changed()
        self.role_changed.set()

    async def submit(self, transaction: Transaction, timeout_s: float = 5.0) -> TransactionResult:
        """Commit a transaction through whoever leads.

        Returns when this peer has applied it too, so that a read here sees it. Raises `NoLeader` when no leader
        took it in time; it is then unknown whether it will be applied. Raises the store's limit errors at once.
        A transaction that carries a request id of its own is its client's to repeat; others get one here.
        """
        if transaction.request is not None:
            result = await self._submit(transaction, timeout_s)
        else:
            request = self._sessions.take()
            try:
                named = Transaction(transaction.compares, transaction.operations, request, transaction.reason)
                result = await self._submit(named, timeout_s)
            finally:
                self._sessions.give_back(request)
        await self._wait_applied(self._machine.revision_reached, result.revision, timeout_s)
        return result

    async def _submit(self, transaction: Transaction, timeout_s: float) -> TransactionResult:
        body = encode_transaction(transaction)
        check_transaction(transaction, len(body))
        answer = await self._leader_calls.call(SUBMIT, body, lambda: self._propose(transaction, body), timeout_s)
        return decode_result(answer)

    async def barrier(self, timeout_s: float = 5.0) -> int:
        """After it, this peer's replica holds every write acknowledged before the call (Raft thesis §6.4)."""
        answer = await self._leader_calls.call(READ_INDEX, b"", self._read_index, timeout_s)
        index = int.from_bytes(answer)
        await self._wait_applied(self._machine.index_reached, index, timeout_s)
        return self.store.revision

    async def ask_leader(
        self, method: str, body: bytes, locally: Callable[[], asyncio.Future[bytes]], timeout_s: float
    ) -> bytes:
        """The answer of whoever leads, `locally` if this peer does. Raises `NoLeader`, and what the leader raised."""
        return await self._leader_calls.call(method, body, locally, timeout_s)

    async def change_membership(self, change: MembershipChange, timeout_s: float = 5.0) -> None:
        """Leader only. Raises `NotTaken` where the core refuses it, with its reason."""
        async with asyncio.timeout(timeout_s):
            self._check_takes_part()
            proposal = self._new_proposal(None)
            self._post(ProposeMembership(self._request, change))
            await proposal.result

    def transfer_leadership(self) -> None:
        self._step(TransferLeadership(None))

    # As the leader, for itself and for others

    def _on_submit(self, _sender: NodeId, body: bytes) -> asyncio.Future[bytes]:
        """Raises what is wrong with it."""
        transaction = decode_transaction(body)
        check_transaction(transaction, len(body))
        return self._propose(transaction, body)

    def _on_read_index(self, _sender: NodeId, _body: bytes) -> asyncio.Future[bytes]:
        return self._read_index()

    def _propose(self, transaction: Transaction, body: bytes) -> asyncio.Future[bytes]:
        """The future gets the result once it is applied, or `NotTaken`. `body` is the transaction as bytes.

        Raises what the store has no room for.
        """
        self._check_takes_part()
        growth_bytes = self.room.take(self.store, transaction)
        proposal = self._new_proposal(transaction)
        if growth_bytes:
            proposal.result.add_done_callback(lambda _: self.room.release(growth_bytes))
        self._offer(Propose(self._request, body))
        return proposal.result

    def _new_proposal(self, transaction: Transaction | None) -> _Proposal:
        """Known by `self._request` from now on."""
        self._request += 1
        proposal = _Proposal(asyncio.get_running_loop().create_future(), transaction)
        self._proposing[self._request] = proposal
        return proposal

    def _check_takes_part(self) -> None:
        if self._failure is not None:
            raise NotTaken(Refusal.NOT_LEADER, self.leader_id)

    def _read_index(self) -> asyncio.Future[bytes]:
        self._check_takes_part()
        self._request += 1
        ready: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._reading[self._request] = ready
        self._post(ReadRequest(self._request))
        return ready

    async def _wait_applied(self, mark: Watermark, value: int, timeout_s: float) -> None:
        if mark.value < value and not await mark.reach(value, timeout_s):
            raise NoLeader(timeout_s, "the write is committed, but this peer has not caught up with it")

    # The core's effects

    def _on_raft_message(self, sender: NodeId, body: bytes) -> None:
        try:
            message = self._logs.accepted(sender, body, is_new=self.raft.last_index == 0)
        except LogSuperseded as superseded:
            self._failure = self._failure or superseded
            return
        except VersionUnknown as error:
            if sender not in self._not_understood:
                self._not_understood.add(sender)
                log.warning("raft_version_unknown", peer=sender, error=str(error))
            self._network.notify(sender, RAFT, self._logs.notice())
            return
        if message is not None and self._failure is None:
            self._post(MessageReceived(sender, message))

    def _offer(self, proposal: Propose) -> None:
        """Under load this makes fewer and larger steps, writes and messages; a lone write waits for nothing."""
        if self._writes_under_way:
            self._gathered.append(proposal)
        else:
            self._post(proposal)

    def _post(self, event: Event) -> None:
        if self._failure is not None:
            return
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
        if posted and self._failure is None:
            had_lost = self.raft.lost_tail is not None
            for effect in self.raft.step_all(posted, time.monotonic()):
                self._carry_out(effect)
            if had_lost and self.raft.lost_tail is None:
                log.info("lost_tail_regained", index=self.raft.applied_index)
                self._storage.forget_lost_tail()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Send(to, message):
                self._network.notify(to, RAFT, self._logs.encode(to, message))
            case Persist():
                self._writes_under_way += 1
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
                self._tell_role()

    def _accepted(self, proposal: _Proposal, index: int, term: int) -> None:
        proposal.term = term
        self._pending[index] = proposal
        if proposal.transaction is not None:
            self._machine.expect(index, term, proposal.transaction)

    def _persisted_in_thread(self, sequence: int, error: BaseException | None) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._persisted, sequence, error)

    def _persisted(self, sequence: int, error: BaseException | None) -> None:
        self._writes_under_way -= 1
        if error is not None:
            self._failure = self._failure or error
            return
        self._post(PersistDone(sequence))
        if not self._writes_under_way:
            gathered, self._gathered = self._gathered, []
            for proposal in gathered:
                self._post(proposal)

    def _applied(self, entry: Entry, result: TransactionResult | None) -> None:
        proposal = self._pending.pop(entry.index, None)
        if proposal is None or proposal.result.done():
            return
        if proposal.term == entry.term:
            proposal.result.set_result(b"" if result is None else encode_result(result))
        else:
            _refuse(proposal.result, NotTaken(Refusal.NOT_LEADER, self.leader_id))

    async def _stage(self, index: int, position: int, pieces: Sequence[bytes]) -> None:
        """Write pieces of a coming snapshot. Raises the storage's errors."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._storage.stage(index, position, pieces, lambda error: loop.call_soon_threadsafe(_settle, done, error))
        await done

    def _compact(self, snapshot: Compact) -> None:
        """A new core does not know yet how far the state machine is: the snapshot is then left, the next one serves."""
        if snapshot.index <= self.raft.applied_index:
            self._step(snapshot)

    def _install(self, snapshot: Snapshot) -> None:
        self._machine.receive(snapshot)
        for lost in [at for at in self._pending if at <= snapshot.last_index]:
            _refuse(self._pending.pop(lost).result, NotTaken(Refusal.NOT_LEADER, self.leader_id))


def _refuse(waiting: asyncio.Future[bytes], error: NotTaken) -> None:
    if not waiting.done():
        waiting.set_exception(error)


def _settle(waiting: asyncio.Future[None], error: BaseException | None) -> None:
    if waiting.done():
        return
    if error is None:
        waiting.set_result(None)
    else:
        waiting.set_exception(error)
