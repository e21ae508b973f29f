"""A virtual-time network of gossip cores: delays, loss, cuts, crashes, stalls; the same seed gives the same run.

Nothing here waits: `run_until` steps from one happening to the next. A crashed node's datagrams vanish, as those of
a lost host do; with `refuse=True` its host is still there and refuses the port. A node that stalls does nothing at
all; what arrives meanwhile waits in its socket, as much as fits there, and its timers fire before it is read.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from swarmlet.gossip import (
    AddressChanged,
    Conflict,
    DatagramReceived,
    Effect,
    Event,
    Exchange,
    ExchangeAnswered,
    ExchangeFailed,
    ExchangeReply,
    ExchangeRequested,
    Gossip,
    GossipSettings,
    Incompatible,
    Join,
    LivenessChanged,
    LocalIdentity,
    Member,
    PortUnreachable,
    ProbeStream,
    RecordChanged,
    SendDatagram,
    SetRecord,
    StreamOutcome,
    StreamProbed,
    Tick,
    VersionRange,
)
from swarmlet.gossip.exchange_codec import encode_exchange
from swarmlet.gossip.messages import ExchangeState, MemberClaim
from swarmlet.gossip.versions import SUPPORTED
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, Liveness
from swarmlet.transport.knock import KNOCKS

LAN_DELAY_S = (0.0002, 0.002)
STREAM_TIMEOUT_S = 3.0
STREAM_PACKETS = 6
"""Packets that must all arrive for a probe over a stream to be answered in time."""
SOCKET_PACKETS = 400
"""What waits in a stalled node's socket; more is lost, as in a kernel's receive buffer of 1 MiB."""
CLUSTER = "sim"


@dataclass(eq=False)
class SimNode:
    name: str
    address: Address
    core: Gossip
    identity: LocalIdentity
    seed: float
    starts: int = 1
    running: bool = True
    refuses: bool = False
    stalled_until: float = 0.0
    blocked_until: float = 0.0
    wake_at: float = float("inf")
    inbox: deque[Event] = field(default_factory=deque)
    held: deque[SendDatagram] = field(default_factory=deque)
    changes: list[tuple[float, Member]] = field(default_factory=list)
    reports: list[Conflict | Incompatible] = field(default_factory=list)
    records: dict[tuple[NodeId, str], bytes] = field(default_factory=dict)
    records_at: dict[tuple[NodeId, str], float] = field(default_factory=dict)
    sent_datagrams: int = 0
    sent_bytes: int = 0
    stream_bytes: int = 0
    ticks: int = 0

    @property
    def node_id(self) -> NodeId:
        return self.core.node_id

    @property
    def takes_from(self) -> float:
        """When it takes messages (again): one that stands still takes none, nor does one whose messages wait."""
        return max(self.stalled_until, self.blocked_until)


class GossipNetwork:
    def __init__(self, seed: int, settings: GossipSettings | None = None) -> None:
        self.now = 1000.0
        self.loss = 0.0
        self.delay_s = LAN_DELAY_S
        self.nodes: dict[str, SimNode] = {}
        self.settings = settings or GossipSettings()
        self.recorded: str | None = None
        """The node whose events are kept in `recording`."""
        self.recording: list[tuple[Event, float]] = []
        self._rng = Random(seed)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._by_address: dict[Address, SimNode] = {}
        self._cut: Callable[[str, str], bool] | None = None

    # The cluster

    def start(self, *names: str, join: str | None = None, versions: VersionRange = SUPPORTED) -> None:
        for name in names:
            address = Address(
                f"10.{len(self.nodes) // 62500}.{len(self.nodes) // 250 % 250}.{len(self.nodes) % 250 + 1}", 8421
            )
            self._boot(name, address, 1, join, versions)

    def form(self, size: int) -> list[str]:
        """A cluster of this size in which everyone knows everyone."""
        names = [f"n{number}" for number in range(1, size + 1)]
        self.start(names[0])
        self.start(*names[1:], join=names[0])
        assert self.run_until(self.agree, 60.0)
        self.run(2.0)
        return names

    def assemble(self, size: int) -> list[str]:
        """The same for large clusters, without the work of a join: each is told of all others by one exchange."""
        names = [f"n{number}" for number in range(1, size + 1)]
        self.start(*names)
        claims = tuple(
            MemberClaim(node.node_id, node.name, node.address, Liveness.ALIVE, node.starts, 0, 0.0)
            for node in self.nodes.values()
        )
        for node in self.nodes.values():
            payload = encode_exchange(ExchangeState(NodeId("id-nobody"), False, claims), CLUSTER)
            self._step(node, ExchangeAnswered(payload))
        self.run(5.0)
        assert self.agree()
        return names

    def restart(self, name: str, address: Address | None = None, join: str | None = None) -> None:
        old = self.nodes[name]
        self._by_address.pop(old.address, None)
        old.running = False
        self._boot(name, address or old.address, old.starts + 1, join, SUPPORTED)

    def twin(self, name: str, of: str, address: Address, join: str) -> None:
        """A second agent with another's node id, as from a copied data directory."""
        self._boot(name, address, self.nodes[of].starts + 1, join, SUPPORTED, NodeId(f"id-{of}"))

    def crash(self, *names: str, refuse: bool = False) -> None:
        for name in names:
            self.nodes[name].running = False
            self.nodes[name].refuses = refuse

    def stall(self, name: str, for_s: float) -> None:
        """It stops; what arrives meanwhile waits in its socket."""
        node = self.nodes[name]
        node.stalled_until = max(node.stalled_until, self.now + for_s)
        self._at(node.stalled_until, lambda: self._resume(node))

    def block(self, name: str, for_s: float) -> None:
        """What it sends and what it receives waits, while its timers run on."""
        node = self.nodes[name]
        node.blocked_until = max(node.blocked_until, self.now + for_s)
        self._at(node.blocked_until, lambda: self._unblock(node))

    def cut(self, broken: Callable[[str, str], bool]) -> None:
        """`broken(sender, receiver)` says whether nothing gets from one name to the other."""
        self._cut = broken

    def part(self, *sides: Iterable[str]) -> None:
        """Nothing gets from one of these sides to another."""
        side_of = {name: number for number, names in enumerate(sides) for name in names}
        self.cut(lambda sender, receiver: side_of.get(sender) != side_of.get(receiver))

    def heal(self) -> None:
        self._cut = None

    def move(self, name: str, address: Address) -> None:
        """The host gets another address while its agent runs."""
        node = self.nodes[name]
        del self._by_address[node.address]
        node.address = address
        self._by_address[address] = node
        self.feed(name, AddressChanged(address))

    def feed(self, name: str, event: Event) -> None:
        self._step(self.nodes[name], event)

    def publish(self, name: str, key: str, value: bytes) -> None:
        self.feed(name, SetRecord(key, value))

    def at(self, time_s: float, happen: Callable[[], None]) -> None:
        self._at(time_s, happen)

    # What is seen

    def liveness(self, viewer: str, subject: str) -> Liveness | None:
        member = self.nodes[viewer].core.members().get(self.nodes[subject].node_id)
        return member.liveness if member else None

    def running(self) -> list[SimNode]:
        return [node for node in self.nodes.values() if node.running]

    def agree(self) -> bool:
        """Every running node holds exactly the running ones for alive."""
        expected = {node.node_id for node in self.running()}
        for node in self.running():
            members = node.core.members()
            if len(members) < len(expected):
                return False
            if {m.node_id for m in members.values() if m.liveness is Liveness.ALIVE} != expected:
                return False
        return True

    def everyone_holds(self, subject: str, liveness: Liveness) -> bool:
        return all(self.liveness(n.name, subject) is liveness for n in self.running() if n.name != subject)

    def everyone_has(self, owner: str, key: str, value: bytes | None) -> bool:
        node_id = self.nodes[owner].node_id
        return all(n.core.records(node_id).get(key) == value for n in self.running())

    def same_records(self) -> bool:
        """Everyone holds everyone's records exactly as their owners do."""
        return all(
            viewer.core.records(owner.node_id) == owner.core.records(owner.node_id)
            for owner in self.running()
            for viewer in self.running()
        )

    # Time

    def run(self, for_s: float) -> None:
        self.run_until(None, for_s)

    def run_until(self, condition: Callable[[], bool] | None, within_s: float, look_each_s: float = 0.01) -> bool:
        """True as soon as the condition holds, looked at each `look_each_s` of virtual time."""
        ends_at = self.now + within_s
        look_at = self.now
        queue = self._queue
        while True:
            if condition is not None and self.now >= look_at:
                if condition():
                    return True
                look_at = self.now + look_each_s
            if not queue or queue[0][0] > ends_at:
                self.now = ends_at
                return condition is not None and condition()
            at, _, happen = heapq.heappop(queue)
            if at > self.now:
                self.now = at
            happen()

    # Inside

    def _boot(
        self,
        name: str,
        address: Address,
        starts: int,
        join: str | None,
        versions: VersionRange,
        node_id: NodeId | None = None,
    ) -> None:
        identity = LocalIdentity(node_id or NodeId(f"id-{name}"), name, address, CLUSTER, versions)
        seed = self._rng.random()
        core = Gossip(identity, self.settings, Random(seed), self.now, generation=starts)
        node = SimNode(name, address, core, identity, seed, starts)
        self.nodes[name] = self._by_address[address] = node
        self._step(node, Tick())
        if join is not None:
            self._step(node, Join((self.nodes[join].address,)))

    def _at(self, at: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (at, next(self._order), happen))

    def _wake(self, node: SimNode) -> None:
        """A timer of its own; one that was set for later than the core wants by now is left to find nothing due."""
        if not node.running or node.wake_at > self.now or self.now < node.stalled_until:
            return
        node.ticks += 1
        self._step(node, Tick())

    def _resume(self, node: SimNode) -> None:
        if self.now < node.takes_from or not node.running:
            return
        if node.core.next_deadline(self.now) <= self.now:
            node.ticks += 1
            self._step(node, Tick())
        while node.inbox:
            self._step(node, node.inbox.popleft())

    def _unblock(self, node: SimNode) -> None:
        if self.now < node.blocked_until:
            return
        while node.held:
            effect = node.held.popleft()
            self._deliver(node, effect.address, effect.payload)
        self._resume(node)

    def _step(self, node: SimNode, event: Event) -> list[Effect]:
        if node.name == self.recorded:
            self.recording.append((event, self.now))
        effects = node.core.step(event, self.now)
        for effect in effects:
            self._carry_out(node, effect)
        due_at = max(node.core.next_deadline(self.now), self.now + 0.0005)
        if due_at < node.wake_at or node.wake_at <= self.now:
            node.wake_at = due_at
            self._at(due_at, lambda: self._wake(node))
        return effects

    def _carry_out(self, node: SimNode, effect: Effect) -> None:
        match effect:
            case SendDatagram(address, payload):
                assert len(payload) <= 1350
                if self.now < node.blocked_until:
                    if len(node.held) < SOCKET_PACKETS:
                        node.held.append(effect)
                    return
                node.sent_datagrams += 1
                node.sent_bytes += len(payload)
                self._deliver(node, address, payload)
            case ProbeStream():
                self._at(self._arrival(), lambda: self._probe_stream(node, effect))
            case Exchange(address, payload):
                node.stream_bytes += len(payload)
                self._at(self._arrival(), lambda: self._exchange(node, address, payload))
            case LivenessChanged(member):
                node.changes.append((self.now, member))
            case RecordChanged(node_id, key, value):
                self._record(node, node_id, key, value)
            case Conflict() | Incompatible():
                node.reports.append(effect)
            case _:
                pass

    def _record(self, node: SimNode, node_id: NodeId, key: str, value: bytes | None) -> None:
        if value is None:
            node.records.pop((node_id, key), None)
        else:
            assert node_id in node.core.members()
            node.records[node_id, key] = value
            node.records_at[node_id, key] = self.now

    def _arrival(self) -> float:
        shortest, longest = self.delay_s
        return self.now + shortest + (longest - shortest) * self._rng.random()

    def _is_cut(self, sender: SimNode, receiver: SimNode) -> bool:
        return self._cut is not None and self._cut(sender.name, receiver.name)

    def _deliver(self, sender: SimNode, address: Address, payload: bytes) -> None:
        receiver = self._by_address.get(address)
        if receiver is None or (self.loss and self._rng.random() < self.loss) or self._is_cut(sender, receiver):
            return
        event = DatagramReceived(sender.address, payload)
        self._at(self._arrival(), lambda: self._arrive(sender, receiver, event))

    def _arrive(self, sender: SimNode, receiver: SimNode, event: DatagramReceived) -> None:
        if not receiver.running:
            if receiver.refuses and sender.running:
                self._feed_or_queue(sender, PortUnreachable(receiver.address))
            return
        self._feed_or_queue(receiver, event)

    def _feed_or_queue(self, node: SimNode, event: Event) -> None:
        """To a node that may be standing still."""
        if self.now >= node.takes_from and not node.inbox:
            self._step(node, event)
        elif len(node.inbox) < SOCKET_PACKETS:
            node.inbox.append(event)

    # Streams: what TCP does about loss is left out but for probes, which have little time

    def _reachable(self, node: SimNode, peer: SimNode | None) -> bool:
        if peer is None or self.now < node.blocked_until:
            return False
        return not self._is_cut(node, peer) and not self._is_cut(peer, node)

    def _probe_stream(self, node: SimNode, probe: ProbeStream) -> None:
        peer = self._by_address.get(probe.address)
        gives_up_at = self.now + probe.timeout_s
        outcome, at = StreamOutcome.SILENT, gives_up_at
        if peer is not None and self._reachable(node, peer) and self._rng.random() < (1 - self.loss) ** STREAM_PACKETS:
            answers_at = max(self.now, peer.takes_from) + 4 * (self._arrival() - self.now)
            if not peer.running:
                if peer.refuses:
                    outcome, at = StreamOutcome.REFUSED, self._arrival()
            elif peer.node_id == probe.node_id and answers_at < gives_up_at:
                outcome, at = StreamOutcome.ANSWERED, answers_at
        if outcome is StreamOutcome.SILENT and peer is not None and peer.running and self._takes_connection(node, peer):
            outcome = StreamOutcome.ACCEPTED
        self._at(at, lambda: self._answered(node, StreamProbed(probe.probe, outcome)))

    def _takes_connection(self, node: SimNode, peer: SimNode) -> bool:
        """Its kernel does, whatever its agent does."""
        return self._reachable(node, peer) and any(self._rng.random() < (1 - self.loss) ** 2 for _ in range(KNOCKS))

    def _exchange(self, node: SimNode, address: Address, payload: bytes) -> None:
        peer = self._by_address.get(address)
        if peer is None or not peer.running or self.now < peer.takes_from or not self._reachable(node, peer):
            self._at(self.now + STREAM_TIMEOUT_S, lambda: self._answered(node, ExchangeFailed(address)))
            return
        effects = self._step(peer, ExchangeRequested(payload))
        (reply,) = [effect for effect in effects if isinstance(effect, ExchangeReply)]
        peer.stream_bytes += len(reply.payload)
        self._at(self._arrival(), lambda: self._answered(node, ExchangeAnswered(reply.payload)))

    def _answered(self, node: SimNode, event: Event) -> None:
        if node.running and self.now >= node.stalled_until:
            self._step(node, event)
        elif node.running:
            node.inbox.append(event)
