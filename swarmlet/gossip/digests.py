"""A cheap look at whether peers hold the same records: probes and their answers carry a few nodes' digests.

The sender's own is always among them. A difference that shows the peer to have what is lacking here, and that lasts,
prompts an exchange with that peer; one that goes away by itself was only news on its way. A copy that differs from
its original although it lacks nothing is fetched anew.
"""

from dataclasses import dataclass
from math import inf

from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.exchanger import Exchanger
from swarmlet.gossip.members import LIVE, Members
from swarmlet.gossip.messages import Digest, DigestEntry
from swarmlet.gossip.records import Records
from swarmlet.gossip.settings import GossipSettings
from swarmlet.model.ids import NodeId

ENTRIES = 4
"""In one datagram; leaves most of it to news."""
WATCHED_MAX = 64


@dataclass(frozen=True, slots=True)
class Difference:
    entry: DigestEntry
    peer: NodeId
    due_at: float


class Digests:
    def __init__(
        self,
        records: Records,
        members: Members,
        exchanger: Exchanger,
        settings: GossipSettings,
        counters: GossipCounters,
    ) -> None:
        self._records, self._members, self._exchanger = records, members, exchanger
        self._settings, self._counters = settings, counters
        self._differences: dict[NodeId, Difference] = {}

    def sample(self) -> Digest:
        own = self._records.own.digest()
        others = self._members.some_live(ENTRIES - 1)
        return Digest((own, *(self._records.digest(entry.node_id) for entry in others)))

    def hear(self, digest: Digest, sender: NodeId, now: float) -> None:
        for entry in digest.entries:
            if entry.node_id == self._records.own.node_id:
                self._exchanger.hear_of_own(entry.generation, entry.top, now)
                continue
            copy = self._records.copy_of(entry.node_id)
            if not copy.compare(entry, from_owner=sender == entry.node_id):
                self._counters.copies_diverged += 1
                copy.known.clear()
            if copy.lacks(entry) and entry.node_id not in self._differences and len(self._differences) < WATCHED_MAX:
                due_at = now + self._exchanger.scale * self._settings.digest_patience_s
                self._differences[entry.node_id] = Difference(entry, sender, due_at)

    def deadline(self) -> float:
        return min((difference.due_at for difference in self._differences.values()), default=inf)

    def on_time(self, now: float) -> None:
        for node_id, difference in list(self._differences.items()):
            if difference.due_at > now:
                continue
            del self._differences[node_id]
            peer = self._members.get(difference.peer)
            if peer is not None and peer.liveness in LIVE and self._records.copy_of(node_id).lacks(difference.entry):
                self._exchanger.want(peer.node_id, peer.address)
