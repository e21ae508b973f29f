"""Drives the gossip core: datagrams, full exchanges over the peers' streams, the clock; keeps the observed state.

Whoever needs to know what really runs reads `observed()`; `changed` says that it is worth looking again.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import TypeVar

import msgpack
import structlog
from pydantic import ValidationError

from swarmlet.drivers.signal import Signal, wait_at_most
from swarmlet.drivers.stream_probes import StreamProbes
from swarmlet.gossip import (
    Conflict,
    DatagramReceived,
    DeleteRecord,
    Effect,
    Event,
    Exchange,
    ExchangeAnswered,
    ExchangeFailed,
    ExchangeReply,
    ExchangeRequested,
    Forgotten,
    Gossip,
    GossipCounters,
    Incompatible,
    Join,
    Leave,
    LivenessChanged,
    Member,
    PortUnreachable,
    ProbeStream,
    RecordChanged,
    RecordRefused,
    SendDatagram,
    SetRecord,
    Tick,
)
from swarmlet.model.frozen import Frozen, decode, encode
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.observed import (
    FACTS_KEY,
    PROBLEM_KEY_PREFIX,
    STATE_HASHES_KEY,
    TASK_KEY_PREFIX,
    Address,
    NodeFacts,
    ObservedNode,
    ObservedState,
    ServiceProblem,
    StateHashes,
    TaskStatus,
)
from swarmlet.model.usage import USAGE_KEY, NodeUsage
from swarmlet.transport import DatagramEndpoint, PeerNetwork, PeerTimeout, PeerUnavailable, RemoteError

EXCHANGE = "gossip.exchange"
EXCHANGE_TIMEOUT_S = 3.0
EXCHANGES_MAX = 16
"""Full exchanges under way at once; the core asks again later for one that was not begun."""

log = structlog.get_logger()
RecordT = TypeVar("RecordT", bound=Frozen)


class Membership:
    def __init__(self, gossip: Gossip, datagrams: DatagramEndpoint, network: PeerNetwork) -> None:
        self.changed = Signal()
        self.liveness_changed = Signal()
        self.state_hashes_changed = Signal()
        self.state_hashes: dict[NodeId, StateHashes] = {}
        """Apart from `observed`: they change all the time, and concern nobody who looks at nodes and tasks."""
        self.undecodable = 0
        self.unpublishable = 0
        self._gossip, self._datagrams, self._network = gossip, datagrams, network
        self._nodes: dict[NodeId, ObservedNode] = {}
        self._usage: dict[NodeId, NodeUsage] = {}
        self._observed: ObservedState | None = None
        self._exchanges: set[asyncio.Task[None]] = set()
        self._stream_probes = StreamProbes(network, self._step)
        self._stepped = asyncio.Event()
        network.on_call(EXCHANGE, self._on_exchange)

    # What others ask

    @property
    def counters(self) -> GossipCounters:
        return self._gossip.counters

    def observed(self) -> ObservedState:
        if self._observed is None:
            self._observed = ObservedState(dict(self._nodes), dict(self._usage))
        return self._observed

    def members(self) -> Mapping[NodeId, Member]:
        return self._gossip.members()

    def address(self, node: NodeId) -> Address | None:
        member = self._gossip.members().get(node)
        return member.address if member else None

    def join(self, addresses: tuple[Address, ...]) -> None:
        self._step(Join(addresses))

    def leave(self) -> None:
        """Tell the others that this agent stops on purpose. Its datagrams are out when this returns."""
        self._step(Leave())

    def publish_facts(self, facts: NodeFacts) -> None:
        self._step(SetRecord(FACTS_KEY, encode(facts)))

    def publish_task(self, task: TaskId, status: TaskStatus | None) -> None:
        self._publish(TASK_KEY_PREFIX + task, status)

    def publish_problem(self, service: ServiceId, problem: ServiceProblem | None) -> None:
        self._publish(PROBLEM_KEY_PREFIX + service, problem)

    def publish_usage(self, usage: NodeUsage) -> None:
        self._publish(USAGE_KEY, usage)

    def publish_state_hashes(self, hashes: StateHashes | None) -> None:
        self._publish(STATE_HASHES_KEY, hashes)

    def on_datagram(self, source: Address, payload: bytes) -> None:
        self._step(DatagramReceived(source, payload))

    def on_unreachable(self, address: Address) -> None:
        self._step(PortUnreachable(address))

    async def run(self) -> None:
        try:
            while True:
                self._step(Tick())
                self._stepped.clear()
                now = time.monotonic()
                await wait_at_most(self._stepped, self._gossip.next_deadline(now) - now)
        finally:
            for task in self._exchanges:
                task.cancel()
            await asyncio.gather(*self._exchanges, self._stream_probes.close(), return_exceptions=True)

    # The core's effects

    def _publish(self, key: str, value: Frozen | None) -> None:
        try:
            self._step(DeleteRecord(key) if value is None else SetRecord(key, encode(value)))
        except RecordRefused as error:
            # Beyond a limit of the record: the task runs, but the others can't be told of it.
            self.unpublishable += 1
            log.error("gossip_record_refused", key=key, error=str(error))

    def _step(self, event: Event) -> None:
        for effect in self._gossip.step(event, time.monotonic()):
            self._carry_out(effect)
        if not isinstance(event, Tick):
            self._stepped.set()

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case SendDatagram(address, payload):
                self._datagrams.send(address, payload)
            case ProbeStream():
                self._stream_probes.begin(effect)
            case Exchange(address, payload):
                self._begin_exchange(address, payload)
            case LivenessChanged(member):
                self._take_member(member)
            case RecordChanged(node_id, key, value):
                self._take_record(node_id, key, value)
            case Forgotten(node_id):
                self._nodes.pop(node_id, None)
                self.state_hashes.pop(node_id, None)
                self._usage.pop(node_id, None)
                self._observed = None
                self.changed.set()
            case Conflict():
                log.error("node_conflict", conflict=str(effect))
            case Incompatible():
                log.error("node_incompatible", problem=str(effect))

    def _begin_exchange(self, address: Address, payload: bytes) -> None:
        if len(self._exchanges) >= EXCHANGES_MAX:
            self._step(ExchangeFailed(address))
            return
        task = asyncio.create_task(self._exchange(address, payload))
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)

    async def _exchange(self, address: Address, payload: bytes) -> None:
        try:
            answer = await self._network.call(address, EXCHANGE, payload, EXCHANGE_TIMEOUT_S)
        except (PeerUnavailable, PeerTimeout, RemoteError) as error:
            log.debug("gossip_exchange_failed", address=str(address), error=str(error))
            self._step(ExchangeFailed(address))
        else:
            self._step(ExchangeAnswered(answer))

    async def _on_exchange(self, _sender: NodeId, payload: bytes) -> bytes:
        answer = b""
        for effect in self._gossip.step(ExchangeRequested(payload), time.monotonic()):
            if isinstance(effect, ExchangeReply):
                answer = effect.payload
            else:
                self._carry_out(effect)
        self._stepped.set()
        return answer

    # Observed state

    def _take_member(self, member: Member) -> None:
        before = self._nodes.get(member.node_id)
        known = before or ObservedNode(member.node_id, member.name, member.address, member.liveness)
        self._replace(
            ObservedNode(
                member.node_id, member.name, member.address, member.liveness, known.facts, known.tasks, known.problems
            )
        )
        if before is None or before.liveness is not member.liveness:
            log.info("node_liveness_changed", node=member.node_id, name=member.name, liveness=member.liveness)
        self.liveness_changed.set()

    def _take_record(self, node_id: NodeId, key: str, value: bytes | None) -> None:
        if key == STATE_HASHES_KEY:
            self._take_state_hashes(node_id, value)
            return
        if key == USAGE_KEY:
            self._take_usage(node_id, value)
            return
        member = self._gossip.members().get(node_id)
        known = self._nodes.get(node_id)
        if known is None:
            if member is None:
                return
            known = ObservedNode(node_id, member.name, member.address, member.liveness)
        facts, tasks, problems = known.facts, known.tasks, known.problems
        if key == FACTS_KEY:
            facts = self._decoded(NodeFacts, value)
        elif key.startswith(TASK_KEY_PREFIX):
            task = TaskId(key.removeprefix(TASK_KEY_PREFIX))
            tasks = _with(tasks, task, self._decoded(TaskStatus, value))
        elif key.startswith(PROBLEM_KEY_PREFIX):
            service = ServiceId(key.removeprefix(PROBLEM_KEY_PREFIX))
            problems = _with(problems, service, self._decoded(ServiceProblem, value))
        self._replace(ObservedNode(node_id, known.name, known.address, known.liveness, facts, tasks, problems))

    def _take_state_hashes(self, node_id: NodeId, value: bytes | None) -> None:
        hashes = self._decoded(StateHashes, value)
        if hashes is None:
            self.state_hashes.pop(node_id, None)
        else:
            self.state_hashes[node_id] = hashes
        self.state_hashes_changed.set()

    def _take_usage(self, node_id: NodeId, value: bytes | None) -> None:
        """Whoever looks finds it; nobody is woken, since figures change all the time."""
        usage = self._decoded(NodeUsage, value)
        if usage is None:
            self._usage.pop(node_id, None)
        else:
            self._usage[node_id] = usage
        self._observed = None

    def _replace(self, node: ObservedNode) -> None:
        self._nodes[node.id] = node
        self._observed = None
        self.changed.set()

    def _decoded(self, kind: type[RecordT], value: bytes | None) -> RecordT | None:
        """A record that a newer agent wrote in a way that we can't read counts as absent, and is counted."""
        if value is None:
            return None
        try:
            return decode(kind, value)
        except (ValidationError, ValueError, msgpack.UnpackException) as error:
            self.undecodable += 1
            log.warning("gossip_record_undecodable", kind=kind.__name__, error=str(error))
            return None


KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


def _with(mapping: Mapping[KeyT, ValueT], key: KeyT, value: ValueT | None) -> Mapping[KeyT, ValueT]:
    """A copy with one entry set, or removed for None; readers of the old mapping are not disturbed."""
    copy = dict(mapping)
    if value is None:
        copy.pop(key, None)
    else:
        copy[key] = value
    return copy
