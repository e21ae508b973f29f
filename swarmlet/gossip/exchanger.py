"""Push-pull: two peers compare their whole state over a stream, and both end up with the newer of everything.

1. The asking peer sends its members and a digest of each node's records.
2. The other answers with its members, the deltas that the digests call for, and digests of what it lacks itself.
3. The first sends the deltas that those call for.

This repairs whatever datagrams lost. It happens after a random time, when joining, and when something prompts it:
a peer that came back, a stranger's datagram, a digest that differs.
"""

from math import inf, log2
from random import Random

from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.deltas import within_budget
from swarmlet.gossip.events import Exchange, ExchangeReply
from swarmlet.gossip.exchange_codec import encode_exchange
from swarmlet.gossip.intake import Intake
from swarmlet.gossip.local_node import LocalNode
from swarmlet.gossip.members import Members
from swarmlet.gossip.messages import DigestEntry, ExchangeState, MemberClaim, NodeDelta
from swarmlet.gossip.outbox import Outbox
from swarmlet.gossip.record_news import RecordNews
from swarmlet.gossip.records import Records
from swarmlet.gossip.settings import GossipSettings
from swarmlet.gossip.verdicts import Verdicts
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address

WANTED_MAX = 16
PROMPTED_AT_ONCE = 4
FORWARDED_MAX = 128
"""Claims against live peers that are told to them after one exchange; the next one brings the rest."""
SMALL_CLUSTER = 32
"""Beyond so many nodes there is more time between exchanges, with log2(N), as each exchange grows with N."""


class Exchanger:
    def __init__(
        self,
        local: LocalNode,
        members: Members,
        verdicts: Verdicts,
        records: Records,
        record_news: RecordNews,
        intake: Intake,
        outbox: Outbox,
        settings: GossipSettings,
        counters: GossipCounters,
        rng: Random,
        now: float,
    ) -> None:
        self._local, self._members, self._verdicts, self._records = local, members, verdicts, records
        self._record_news, self._intake, self._outbox = record_news, intake, outbox
        self._settings, self._counters, self._rng = settings, counters, rng
        self._wanted: dict[NodeId, Address] = {}
        self._prompted_at = -inf
        self._next_at = now + self._interval_s()

    # When

    def want(self, node_id: NodeId, address: Address) -> None:
        """Exchange with this peer soon."""
        if len(self._wanted) < WANTED_MAX and node_id != self._local.node_id:
            self._wanted[node_id] = address

    def want_some(self) -> None:
        for peer in self._members.some_live(PROMPTED_AT_ONCE - 1):
            self.want(peer.node_id, peer.address)

    def deadline(self) -> float:
        due = self._next_at if self._members.live else inf
        return min(due, self._prompted_at) if self._wanted else due

    def on_time(self, now: float) -> None:
        if self._wanted and now >= self._prompted_at:
            self._prompted_at = now + self.scale * self._settings.exchange_gap_s
            for node_id in list(self._wanted)[:PROMPTED_AT_ONCE]:
                self.ask(self._wanted.pop(node_id), now)
        if now >= self._next_at and self._members.live:
            self._next_at = now + self._interval_s()
            for peer in self._members.some_live(1):
                self.ask(peer.address, now)

    @property
    def scale(self) -> float:
        """What waits are multiplied by in a large cluster."""
        nodes = self._members.node_count
        return 1.0 if nodes <= SMALL_CLUSTER else 1.0 + log2(nodes / SMALL_CLUSTER)

    def _interval_s(self) -> float:
        return self.scale * self._rng.uniform(self._settings.exchange_min_s, self._settings.exchange_max_s)

    # The three steps

    def ask(self, address: Address, now: float) -> None:
        digests = tuple(self._records.digest(entry.node_id) for entry in self._members.entries())
        state = ExchangeState(self._local.node_id, True, members=self._claims(now), digests=digests)
        self._emit(address, state)

    def on_requested(self, payload: bytes, now: float) -> None:
        state = self._decoded(payload)
        if state is None:
            self._outbox.emit(ExchangeReply(b""))
            return
        self._merge(state, now)
        if not state.wants_answer:
            self._outbox.emit(ExchangeReply(b""))
            return
        deltas, truncated = self._deltas(state.digests, whole_state=True)
        answer = ExchangeState(
            self._local.node_id, False, self._claims(now), self._lacking(state.digests), deltas, truncated
        )
        self._outbox.emit(ExchangeReply(self._encoded(answer)))

    def on_answered(self, payload: bytes, now: float) -> None:
        if not payload:
            return
        state = self._decoded(payload)
        if state is None:
            return
        self._merge(state, now)
        peer = self._members.get(state.sender)
        if peer is None:
            return
        deltas, cut = self._deltas(state.digests, whole_state=False)
        if deltas:
            self._emit(peer.address, ExchangeState(self._local.node_id, False, deltas=deltas))
        if state.truncated or cut:
            self.want(peer.node_id, peer.address)

    def hear_of_own(self, generation: int, version: int, now: float) -> None:
        """What a peer holds of this node's records. If it is more than we wrote, it is of an earlier start."""
        own, local = self._records.own, self._local
        same_start = generation == local.generation == own.generation
        if generation > local.generation or (same_start and version > own.version):
            local.outbid(max(generation, local.generation + 1), 0)
            self._verdicts.announce(now)

    # Bodies

    def _emit(self, address: Address, state: ExchangeState) -> None:
        if address != self._local.address:
            self._counters.exchanges += 1
            self._outbox.emit(Exchange(address, self._encoded(state)))

    def _encoded(self, state: ExchangeState) -> bytes:
        version = self._members.spoken_version(self._local.versions)
        return encode_exchange(state, self._local.cluster, version, self._settings.compress_exchanges)

    def _decoded(self, payload: bytes) -> ExchangeState | None:
        state = self._intake.exchange(payload)
        if state is not None and state.sender == self._local.node_id:
            self._counters.own_echoes += 1
            return None
        return state

    def _claims(self, now: float) -> tuple[MemberClaim, ...]:
        return tuple(
            MemberClaim(
                entry.node_id,
                entry.member.name,
                entry.address,
                entry.liveness,
                entry.member.generation,
                entry.member.incarnation,
                max(0.0, now - entry.changed_at),
                entry.member.versions,
            )
            for entry in self._members.entries()
        )

    def _merge(self, state: ExchangeState, now: float) -> None:
        # A joiner learns of the whole cluster here; that the cluster exists is news to nobody else.
        strangers = sum(self._members.get(claim.node_id) is None for claim in state.members)
        passed_on = strangers <= len(self._members.view)
        accused = [claim for claim in state.members if self._verdicts.merge(claim, state.sender, passed_on, now)]
        for claim in self._rng.sample(accused, min(FORWARDED_MAX, len(accused))):
            self._verdicts.tell_accused(claim, state.sender)
        for delta in state.deltas:
            if delta.node_id == self._local.node_id:
                self.hear_of_own(delta.generation, max((last for _, last in delta.spans), default=0), now)
            else:
                self._record_news.merge(delta, state.sender, now)

    def _deltas(self, digests: tuple[DigestEntry, ...], whole_state: bool) -> tuple[tuple[NodeDelta, ...], bool]:
        """What the sender of these digests lacks. `whole_state`: of what it did not mention it holds nothing."""
        theirs = {entry.node_id: entry for entry in digests}
        nodes = sorted(theirs.keys() | set(self._records.nodes())) if whole_state else sorted(theirs)
        # In random order, so that not always the same ones come late where not all fit.
        self._rng.shuffle(nodes)
        deltas = [self._records.copy_of(node_id).delta_for(theirs.get(node_id)) for node_id in nodes]
        return within_budget([delta for delta in deltas if delta is not None], self._settings.deltas_size_bytes_max)

    def _lacking(self, digests: tuple[DigestEntry, ...]) -> tuple[DigestEntry, ...]:
        """Digests of what the sender of these has and we don't."""
        copies = ((self._records.copy_of(entry.node_id), entry) for entry in digests)
        return tuple(
            copy.digest() for copy, entry in copies if copy.node_id != self._local.node_id and copy.lacks(entry)
        )
