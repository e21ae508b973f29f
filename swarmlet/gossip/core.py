"""The gossip core: events in, effects out. No clock, no socket, no randomness of its own.

The parts, each with its own rules in its own file: `detector` probes, `verdicts` decides who is alive, `courier`
spreads news, `exchanger` compares whole states, `digests` notices differences, `joining` finds the cluster,
`afterlife` looks after the dead. This file hands events to them, and time: each part says when it next has something
to do, so that a shell may sleep until `next_deadline`.

Being woken much later than asked for means that this agent stood still. Then all running waits get that time back:
a node that was stopped for seconds must not blame everyone else.
"""

from collections.abc import Mapping
from random import Random

from swarmlet.gossip.afterlife import Afterlife
from swarmlet.gossip.awareness import Awareness
from swarmlet.gossip.conflicts import Conflicts
from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.courier import Courier
from swarmlet.gossip.detector import Detector
from swarmlet.gossip.digests import Digests
from swarmlet.gossip.events import (
    AddressChanged,
    DatagramReceived,
    DeleteRecord,
    Effect,
    Event,
    ExchangeAnswered,
    ExchangeFailed,
    ExchangeReply,
    ExchangeRequested,
    Join,
    Leave,
    LocalIdentity,
    Member,
    PortUnreachable,
    SetRecord,
    StreamOutcome,
    StreamProbed,
)
from swarmlet.gossip.exchanger import Exchanger
from swarmlet.gossip.hearing import Hearing
from swarmlet.gossip.intake import Intake
from swarmlet.gossip.joining import Joining
from swarmlet.gossip.local_node import LocalNode
from swarmlet.gossip.members import Members
from swarmlet.gossip.messages import (
    Ack,
    Alive,
    Digest,
    Message,
    Nack,
    Packet,
    Ping,
    PingRequest,
    Record,
    Verdict,
)
from swarmlet.gossip.outbox import Outbox
from swarmlet.gossip.probe_order import ProbeOrder
from swarmlet.gossip.record_news import RecordNews
from swarmlet.gossip.records import Records
from swarmlet.gossip.settings import GossipSettings
from swarmlet.gossip.verdicts import Turn, Verdicts
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address

PROBE_MESSAGES = (Ping, PingRequest, Ack, Nack)
SLEEP_S_MAX = 60.0
"""The longest that a shell is told to sleep."""


class Gossip:
    """One node's view of the cluster.

    `generation` must be higher at each start of the agent: its wall clock in milliseconds will do, a counter in its
    data directory is better. Should it be lower all the same, peers' answers are noticed and outbid.
    """

    def __init__(
        self, identity: LocalIdentity, settings: GossipSettings, rng: Random, now: float, generation: int
    ) -> None:
        self.counters = GossipCounters()
        self._settings = settings
        self._outbox = outbox = Outbox()
        self._local = local = LocalNode(identity, generation)
        self._members = members = Members(local.node_id, rng)
        self._records = records = Records(local.node_id, generation, self.counters)
        self._awareness = awareness = Awareness(settings.awareness_max)
        self._courier = courier = Courier(local, members, outbox, settings)
        self._record_news = news = RecordNews(records, members, courier, outbox)
        order = ProbeOrder(rng)
        self._intake = intake = Intake(local, outbox, self.counters)
        conflicts = Conflicts(members, outbox)
        self._verdicts = verdicts = Verdicts(
            local,
            members,
            order,
            courier,
            news,
            intake,
            conflicts,
            outbox,
            settings,
            awareness,
            self.counters,
            Hearing(settings, now),
        )
        self._exchanger = exchanger = Exchanger(
            local, members, verdicts, records, news, intake, outbox, settings, self.counters, rng, now
        )
        self._digests = digests = Digests(records, members, exchanger, settings, self.counters)
        self._detector = Detector(
            local, members, order, verdicts, courier, digests, settings, awareness, outbox, self.counters, rng, now
        )
        self._joining = Joining(members, exchanger, settings, rng)
        afterlife = Afterlife(members, records, news, courier, outbox, settings, rng, now)
        self._timed = (self._joining, self._detector, verdicts, digests, exchanger, afterlife, courier)
        self._due_at = now
        verdicts.announce(now)

    @property
    def node_id(self) -> NodeId:
        return self._local.node_id

    @property
    def health_score(self) -> int:
        """0: this node trusts its own verdicts. Each point above makes it wait longer with them."""
        return self._awareness.score

    def members(self) -> Mapping[NodeId, Member]:
        """All known nodes, this one included, whatever their liveness. A live view."""
        return self._members.view

    def records(self, node_id: NodeId) -> Mapping[str, bytes]:
        """A live view."""
        return self._records.values(node_id)

    def next_deadline(self, now: float) -> float:
        """When `Tick` is due at the latest. Any event may bring it forward."""
        return now + SLEEP_S_MAX if self._local.left else min(now + SLEEP_S_MAX, self._due_at)

    def step(self, event: Event, now: float) -> list[Effect]:
        """Raises nothing but `RecordRefused`, for a `SetRecord` that exceeds a limit."""
        if not self._local.left:
            self._notice_stall(now)
            self._handle(event, now)
        elif isinstance(event, ExchangeRequested):
            self._outbox.emit(ExchangeReply(b""))
        if not self._local.left:
            self._pass_time(now)
        return self._outbox.take()

    def _pass_time(self, now: float) -> None:
        self._align_generation()
        due_at = min([part.deadline() for part in self._timed])
        if due_at <= now:
            for part in self._timed:
                part.on_time(now)
            self._align_generation()
            due_at = min([part.deadline() for part in self._timed])
        self.counters.news_dropped = self._courier.news.dropped
        self._due_at = max(now, min(now + SLEEP_S_MAX, due_at))

    def _notice_stall(self, now: float) -> None:
        late_s = now - self._due_at
        if late_s >= self._settings.stall_s:
            self.counters.stalls += 1
            self._awareness.apply(1)
            self._detector.postpone(late_s)
            self._verdicts.postpone(late_s)

    def _handle(self, event: Event, now: float) -> None:
        match event:
            case DatagramReceived(source, payload):
                self._receive(source, payload, now)
            case ExchangeRequested(payload):
                self._verdicts.heard(now)
                self._exchanger.on_requested(payload, now)
            case ExchangeAnswered(payload):
                self._verdicts.heard(now)
                self._exchanger.on_answered(payload, now)
            case ExchangeFailed():
                self.counters.exchanges_failed += 1
            case PortUnreachable(address):
                self._detector.refused(address, now)
            case StreamProbed(probe, outcome):
                if outcome is StreamOutcome.ANSWERED:
                    self._verdicts.heard(now)
                self._detector.stream_probed(probe, outcome, now)
            case _:
                self._obey(event, now)

    def _obey(self, event: Event, now: float) -> None:
        """What this node itself wants. A `Tick` only brings the time."""
        match event:
            case SetRecord(key, value):
                if not self._record_news.set_own(key, value, now):
                    self._exchanger.want_some()
            case DeleteRecord(key):
                self._record_news.delete_own(key, now)
            case Join(addresses):
                self._joining.join(addresses, self._local.address)
            case AddressChanged(address):
                self._move(address, now)
            case Leave():
                self._verdicts.leave(now)
            case _:
                pass

    # Datagrams

    def _receive(self, source: Address, payload: bytes, now: float) -> None:
        self.counters.received += 1
        packet = self._intake.datagram(payload, source)
        if packet is None:
            return
        if packet.sender == self._local.node_id:
            self.counters.own_echoes += 1
            return
        self._hear_sender(packet.sender, source, now)
        # Claims before probes: an answer should tell what was just heard, a refutation above all.
        for message in packet.messages:
            if not isinstance(message, PROBE_MESSAGES):
                self._hear(message, packet.sender, now)
        self._align_generation()
        for message in packet.messages:
            self._answer(message, packet, source, now)

    def _hear_sender(self, sender: NodeId, source: Address, now: float) -> None:
        self._verdicts.heard(now)
        entry = self._members.get(sender)
        if entry is None:
            self._exchanger.want(sender, source)
        else:
            entry.heard_at = now

    def _hear(self, message: Message, sender: NodeId, now: float) -> None:
        match message:
            case Alive(node_id):
                self._react(self._verdicts.hear_alive(message, now), node_id, now)
            case Verdict(node_id):
                self._react(self._verdicts.hear_verdict(message, now), node_id, now)
            case Record(node_id, generation, version):
                if node_id == self._local.node_id:
                    self._exchanger.hear_of_own(generation, version, now)
                else:
                    self._record_news.hear(message, sender, now)
            case Digest():
                self._digests.hear(message, sender, now)
            case _:
                pass

    def _answer(self, message: Message, packet: Packet, source: Address, now: float) -> None:
        match message:
            case Ping():
                self._detector.on_ping(packet.sender, source, message)
            case PingRequest():
                self._detector.on_ping_request(packet.sender, source, message, now)
            case Ack():
                self._detector.on_ack(packet.sender, message, now)
            case Nack():
                self._detector.on_nack(packet.sender, message)
            case _:
                pass

    def _react(self, turn: Turn | None, node_id: NodeId, now: float) -> None:
        if turn is Turn.SUSPECTED:
            self._detector.prompt(node_id, now)
        elif turn is Turn.RETURNED:
            self._exchanger.want(node_id, self._members.view[node_id].address)

    # This node

    def _move(self, address: Address, now: float) -> None:
        if address != self._local.address:
            self._local.address = address
            self._local.incarnation += 1
            self._verdicts.announce(now)

    def _align_generation(self) -> None:
        """Records follow the node into a new generation."""
        if self._records.own.generation != self._local.generation:
            self._record_news.republish(self._local.generation)
