"""A cheap look at whether peers hold the same records: probes and their answers carry a few nodes' digests.

The sender's own is always among them. A difference that shows the peer to be ahead, and that lasts, prompts an
exchange with that peer; one that goes away by itself was only news on its way.
"""

from dataclasses import dataclass
from math import inf

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
    def __init__(self, records: Records, members: Members, exchanger: Exchanger, settings: GossipSettings) -> None:
        self._records, self._members, self._exchanger, self._settings = records, members, exchanger, settings
        self._differences: dict[NodeId, Difference] = {}

    def sample(self) -> Digest:
        own = self._records.own.digest()
        others = self._members.some_live(ENTRIES - 1)
        return Digest((own, *(self._records.digest(entry.node_id) for entry in others)))

    def hear(self, digest: Digest, sender: NodeId, now: float) -> None:
        for entry in digest.entries:
            if entry.node_id == self._records.own.node_id:
                self._exchanger.hear_of_own(entry.generation, entry.version, now)
            elif not self._is_ahead(entry):
                continue
            elif entry.node_id not in self._differences and len(self._differences) < WATCHED_MAX:
                due_at = now + self._settings.digest_patience_s
                self._differences[entry.node_id] = Difference(entry, sender, due_at)

    def deadline(self) -> float:
        return min((difference.due_at for difference in self._differences.values()), default=inf)

    def on_time(self, now: float) -> None:
        for node_id, difference in list(self._differences.items()):
            if difference.due_at > now:
                continue
            del self._differences[node_id]
            peer = self._members.get(difference.peer)
            if peer is not None and peer.liveness in LIVE and self._is_ahead(difference.entry):
                self._exchanger.want(peer.node_id, peer.address)

    def _is_ahead(self, entry: DigestEntry) -> bool:
        """Whether a peer that holds this may have something that we lack."""
        mine = self._records.digest(entry.node_id)
        if (entry.generation, entry.version) == (mine.generation, mine.version):
            return entry.fingerprint != mine.fingerprint
        return (entry.generation, entry.version) > (mine.generation, mine.version)
