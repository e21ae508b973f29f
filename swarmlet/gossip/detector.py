"""Finds out who does not answer: SWIM's probe (section 3.1) with Lifeguard's nacks.

Each interval one peer is pinged. If no answer comes within its usual round trip, it is pinged once more and some
others are asked to ping it too, and the shell is asked to try a stream; if nobody reached it in any way by the end of
the probe, it is accused. Those asked say `Nack` when they got no answer either: if not even that comes, the fault may
be ours, and our awareness rises.
A peer whose host takes a connection while its agent says nothing stands still: it is probed again, and accused when
that lasts.
A suspicion that is heard prompts a few peers to probe the suspect at once: that confirms it soon, or tells the
suspect.
"""

from dataclasses import dataclass, field
from math import inf
from random import Random

from swarmlet.gossip.awareness import Awareness
from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.courier import Courier
from swarmlet.gossip.digests import Digests
from swarmlet.gossip.events import ProbeStream, StreamOutcome
from swarmlet.gossip.local_node import LocalNode
from swarmlet.gossip.members import LIVE, Entry, Members
from swarmlet.gossip.messages import Ack, Nack, Ping, PingRequest
from swarmlet.gossip.outbox import Outbox
from swarmlet.gossip.probe_order import ProbeOrder
from swarmlet.gossip.settings import GossipSettings
from swarmlet.gossip.verdicts import Verdicts
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address

PROBES_MAX = 64
RELAYS_MAX = 256
"""Probes under way at once, ours and those made for others; further ones are left out, gossip forgives it."""
PROBE_TIMEOUTS = 3
"""A probe ends after this many timeouts (one to wait, one each way over another peer) or one interval."""
NACK_AT = 0.8
"""Of the timeout: so early that the nack is back before the probe ends."""
STREAM_SHARE = 0.9
"""Of what is left of the probe: so early that the stream's outcome has the last word before it ends."""


@dataclass(slots=True)
class Probe:
    target: NodeId
    sequence: int
    started_at: float
    timeout_s: float
    indirect_at: float
    ends_at: float
    refused: bool = False
    accepted: bool = False
    """Its host took a connection."""
    still_since: float = inf
    """When the first of the probes began that found it standing still, one after the other."""
    asked: bool = False
    relays: set[NodeId] = field(default_factory=set)
    nacks: int = 0

    @property
    def stands_still(self) -> bool:
        return self.accepted and not self.refused

    @property
    def due_at(self) -> float:
        return self.ends_at if self.asked else min(self.indirect_at, self.ends_at)


@dataclass(slots=True)
class Relay:
    """A probe made for another node."""

    origin: NodeId
    origin_address: Address
    origin_sequence: int
    target: NodeId
    nack_at: float
    ends_at: float

    @property
    def due_at(self) -> float:
        return min(self.nack_at, self.ends_at)


class Detector:
    def __init__(
        self,
        local: LocalNode,
        members: Members,
        order: ProbeOrder,
        verdicts: Verdicts,
        courier: Courier,
        digests: Digests,
        settings: GossipSettings,
        awareness: Awareness,
        outbox: Outbox,
        counters: GossipCounters,
        rng: Random,
        now: float,
    ) -> None:
        self._local, self._members, self._order = local, members, order
        self._verdicts, self._courier, self._outbox = verdicts, courier, outbox
        self._digests, self._settings, self._awareness = digests, settings, awareness
        self._counters, self._rng = counters, rng
        self._sequence = rng.getrandbits(24)
        self._probe_at = now + rng.random() * settings.probe_interval_s
        self._probes: dict[int, Probe] = {}
        self._relays: dict[int, Relay] = {}

    # Time

    def deadline(self) -> float:
        due = self._probe_at if self._members.live else inf
        for probe in self._probes.values():
            due = min(due, probe.due_at)
        for relay in self._relays.values():
            due = min(due, relay.due_at)
        return due

    def on_time(self, now: float) -> None:
        for probe in [probe for probe in self._probes.values() if probe.due_at <= now]:
            if probe.ends_at <= now:
                self._fail(probe, now)
            else:
                self._ask_others(probe, now)
        for sequence in [sequence for sequence, relay in self._relays.items() if relay.due_at <= now]:
            self._relay_due(sequence, now)
        if now >= self._probe_at and self._members.live:
            self._probe_at = now + self._settings.probe_interval_s * self._awareness.multiplier
            self._probe_next(now)

    def postpone(self, delay_s: float) -> None:
        """This agent stood still for so long: answers wait in its socket."""
        for probe in self._probes.values():
            probe.indirect_at += delay_s
            probe.ends_at += delay_s

    # Our probes

    def prompt(self, node_id: NodeId, now: float) -> None:
        """A suspicion of this node was heard."""
        entry = self._members.get(node_id)
        chance = self._settings.prompted_probes / max(1, len(self._members.live) - 1)
        if entry is not None and entry.liveness in LIVE and self._rng.random() < chance:
            self._start(entry, now)

    def refused(self, address: Address, now: float) -> None:
        """Nobody listens there: go on with the others' help at once."""
        for entry in self._members.at_address(address):
            self._counters.refused_ports += 1
            probe = self._probe_of(entry.node_id) or self._start(entry, now)
            if probe is not None:
                self._take_refusal(probe, now)

    def stream_probed(self, sequence: int, outcome: StreamOutcome, now: float) -> None:
        """How the try over a stream ended. An outcome that comes after the probe's end is of no use any more."""
        probe = self._probes.get(sequence)
        if probe is None:
            return
        if outcome is StreamOutcome.ANSWERED:
            del self._probes[sequence]
            self._counters.stream_rescues += 1
        elif outcome is StreamOutcome.REFUSED:
            self._take_refusal(probe, now)
        elif outcome is StreamOutcome.ACCEPTED:
            probe.accepted = True
            probe.still_since = min(probe.still_since, probe.started_at)

    def on_ack(self, sender: NodeId, ack: Ack, now: float) -> None:
        probe = self._probes.get(ack.sequence)
        if probe is not None and (sender == probe.target or sender in probe.relays):
            del self._probes[ack.sequence]
            self._awareness.apply(-1)
            entry = self._members.get(sender)
            if sender == probe.target and not probe.asked and entry is not None:
                # Not after a second ping: it can't be known which one this answers (Karn's rule).
                entry.round_trip.measured(now - probe.started_at)
            return
        relay = self._relays.get(ack.sequence)
        if relay is not None and sender == relay.target:
            del self._relays[ack.sequence]
            self._courier.send(relay.origin_address, relay.origin, [Ack(relay.origin_sequence)])

    def on_nack(self, sender: NodeId, nack: Nack) -> None:
        probe = self._probes.get(nack.sequence)
        if probe is not None and sender in probe.relays:
            probe.nacks += 1

    def _probe_next(self, now: float) -> None:
        node_id = self._order.next([entry.node_id for entry in self._members.live], self._probeable)
        entry = self._members.get(node_id) if node_id is not None else None
        if entry is not None:
            self._start(entry, now)

    def _probeable(self, node_id: NodeId) -> bool:
        entry = self._members.get(node_id)
        return entry is not None and entry.liveness in LIVE and self._probe_of(node_id) is None

    def _probe_of(self, node_id: NodeId) -> Probe | None:
        return next((probe for probe in self._probes.values() if probe.target == node_id), None)

    def _start(self, entry: Entry, now: float) -> Probe | None:
        if self._probe_of(entry.node_id) is not None or len(self._probes) >= PROBES_MAX:
            return None
        settings, stretch = self._settings, self._awareness.multiplier
        timeout_s = stretch * entry.round_trip.timeout_s(settings.probe_timeout_min_s, settings.probe_timeout_max_s)
        length_s = min(stretch * settings.probe_interval_s, PROBE_TIMEOUTS * timeout_s)
        sequence = self._next_sequence()
        probe = Probe(entry.node_id, sequence, now, timeout_s, now + timeout_s, now + length_s)
        self._probes[sequence] = probe
        self._counters.probes += 1
        self._ping(entry.address, entry.node_id, sequence)
        return probe

    def _take_refusal(self, probe: Probe, now: float) -> None:
        """The host is there and nobody listens: only whether others reach the node is still of interest."""
        if not probe.refused:
            probe.refused = True
            probe.ends_at = min(probe.ends_at, now + probe.timeout_s)
            self._ask_others(probe, now)

    def _ask_others(self, probe: Probe, now: float) -> None:
        if probe.asked:
            return
        probe.asked = True
        entry = self._members.get(probe.target)
        if entry is None:
            return
        for peer in self._members.some_live(self._settings.indirect_probes, excluded=probe.target, alive_only=True):
            probe.relays.add(peer.node_id)
            request = PingRequest(probe.sequence, probe.target, entry.address)
            self._courier.send(peer.address, peer.node_id, [request])
        if not probe.refused:
            self._ping(entry.address, entry.node_id, probe.sequence)
        if self._settings.stream_probes:
            self._counters.probes_by_stream += 1
            timeout_s = STREAM_SHARE * (probe.ends_at - now)
            self._outbox.emit(ProbeStream(probe.sequence, entry.node_id, entry.address, timeout_s))

    def _fail(self, probe: Probe, now: float) -> None:
        del self._probes[probe.sequence]
        self._counters.probes_failed += 1
        if not probe.refused:
            missing = len(probe.relays) - probe.nacks
            self._awareness.apply(missing if probe.relays and self._settings.nacks else 1)
        if probe.stands_still and now - probe.still_since < self._settings.stall_patience_s:
            self._probe_again(probe, now)
        else:
            self._verdicts.accuse(probe.target, probe.refused, now)

    def _probe_again(self, probe: Probe, now: float) -> None:
        self._counters.stalled_probes += 1
        entry = self._members.get(probe.target)
        following = self._start(entry, now) if entry is not None and entry.liveness in LIVE else None
        if following is not None:
            following.still_since = probe.still_since

    # Probes for others, and theirs of us

    def on_ping(self, sender: NodeId, source: Address, ping: Ping) -> None:
        if ping.target == self._local.node_id:
            self._courier.send(source, sender, [Ack(ping.sequence), self._digests.sample()])

    def on_ping_request(self, sender: NodeId, source: Address, request: PingRequest, now: float) -> None:
        if request.target == self._local.node_id:
            self._courier.send(source, sender, [Ack(request.sequence)])
            return
        if len(self._relays) >= RELAYS_MAX:
            return
        entry = self._members.get(request.target)
        settings = self._settings
        timeout_s = settings.probe_timeout_max_s
        if entry is not None:
            timeout_s = entry.round_trip.timeout_s(settings.probe_timeout_min_s, settings.probe_timeout_max_s)
        sequence = self._next_sequence()
        self._relays[sequence] = Relay(
            sender,
            source,
            request.sequence,
            request.target,
            now + NACK_AT * timeout_s,
            now + settings.probe_interval_s,
        )
        self._ping(request.address, request.target, sequence)

    def _relay_due(self, sequence: int, now: float) -> None:
        relay = self._relays[sequence]
        if relay.ends_at <= now:
            del self._relays[sequence]
            return
        relay.nack_at = inf
        if self._settings.nacks:
            self._courier.send(relay.origin_address, relay.origin, [Nack(relay.origin_sequence)])

    def _ping(self, address: Address, target: NodeId, sequence: int) -> None:
        self._courier.send(address, target, [Ping(sequence, target), self._digests.sample()])

    def _next_sequence(self) -> int:
        self._sequence = (self._sequence + 1) % (1 << 32)
        return self._sequence
