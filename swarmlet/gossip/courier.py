"""Puts datagrams together and sends them: messages of the moment first, then as much news as fits.

- News rides on every probe and answer (SWIM, section 4.1). While there is any it also travels on its own, each
  gossip interval to a few random peers; this node's own news goes out at once.
- Whoever is not held for alive is told so in every datagram to it, so that it can refute (Lifeguard's buddy
  system, section IV-C). News goes to the recently dead too: they may be alive behind a cut that just healed.
"""

from collections.abc import Hashable, Sequence
from math import inf

from swarmlet.gossip.codec import LIST_HEADER_BYTES, encode_message, encode_packet, packet_prefix
from swarmlet.gossip.dissemination import Dissemination, transmit_limit
from swarmlet.gossip.events import SendDatagram
from swarmlet.gossip.local_node import LocalNode
from swarmlet.gossip.members import Entry, Members
from swarmlet.gossip.messages import Message, Verdict
from swarmlet.gossip.outbox import Outbox
from swarmlet.gossip.settings import DATAGRAM_SIZE_BYTES_MAX, GossipSettings
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, Liveness

VERDICT_BYTES_MAX = 192
"""Room that is left beside the largest piece of news: for what its receiver must be told of itself."""


class Courier:
    def __init__(self, local: LocalNode, members: Members, outbox: Outbox, settings: GossipSettings) -> None:
        self._local, self._members, self._outbox, self._settings = local, members, outbox, settings
        self._version, self._prefix = local.versions.lowest, b""
        self._speak(local.versions.lowest)
        self._gossip_at = -inf
        self._urgent = False
        self._urgent_at = -inf
        self.news = Dissemination(settings.queue_max)

    # News

    def spread(self, subject: Hashable, message: Message) -> bool:
        """Send this to everyone, in time. False if it is too large to travel as news."""
        item = encode_message(message)
        if len(item) > self._room_bytes - VERDICT_BYTES_MAX:
            self.news.drop(subject)
            return False
        self.news.put(subject, item)
        return True

    def hurry(self) -> None:
        """What was spread just now is to go out in this step, or as soon as the last urgent round is over."""
        self._urgent = True

    def deadline(self) -> float:
        if not self.news or not (self._members.live or self._members.dead):
            return inf
        return min(self._gossip_at, self._urgent_at) if self._urgent else self._gossip_at

    def on_time(self, now: float) -> None:
        if not self.news or not (now >= self._gossip_at or (self._urgent and now >= self._urgent_at)):
            return
        for target in self._targets(now):
            if not self.news:
                break
            self.send(target.address, target.node_id, ())
        self._urgent = False
        self._urgent_at = now + self._settings.gossip_urgent_gap_s
        self._gossip_at = now + self._settings.gossip_interval_s

    def _targets(self, now: float) -> list[Entry]:
        mourned = [e for e in self._members.dead if now - e.changed_at < self._settings.gossip_to_dead_s]
        targets = self._members.some_live(self._settings.gossip_fanout)
        if mourned:
            targets = self._members.sample(targets + mourned, self._settings.gossip_fanout)
        return targets

    # Datagrams

    def send(self, address: Address, receiver: NodeId | None, messages: Sequence[Message]) -> None:
        version = self._members.spoken_version(self._local.versions)
        if version != self._version:
            self._speak(version)
        parts = [encode_message(message) for message in messages]
        entry = self._members.get(receiver) if receiver is not None else None
        if self._settings.buddy_system and entry is not None and entry.liveness is not Liveness.ALIVE:
            parts.append(encode_message(self.verdict_on(entry)))
        budget = self._room_bytes - sum(map(len, parts))
        parts += self.news.take(budget, transmit_limit(self._settings.retransmit_mult, self._members.node_count))
        self._outbox.emit(SendDatagram(address, encode_packet(self._prefix, parts)))

    def _speak(self, version: int) -> None:
        self._version = version
        self._prefix = packet_prefix(self._local.cluster, self._local.node_id, version)
        self._room_bytes = DATAGRAM_SIZE_BYTES_MAX - LIST_HEADER_BYTES - len(self._prefix)

    def verdict_on(self, entry: Entry) -> Verdict:
        member = entry.member
        return Verdict(member.node_id, member.liveness, member.generation, member.incarnation, self._local.node_id)
