"""What happens to the dead: they are probed now and then in case they come back, and forgotten after long.

A dead peer's probe tells it that it is held for dead; if it lives, it refutes and is a member again. With every
node trying one random dead peer each interval, two halves of a cluster find each other soon after a cut has healed,
however long it lasted. The sweep also lets go of old tombstones, and of records whose node never became a member.
"""

from collections.abc import Iterator
from math import inf
from random import Random

from swarmlet.gossip.courier import Courier
from swarmlet.gossip.events import Forgotten
from swarmlet.gossip.members import Entry, Members
from swarmlet.gossip.messages import Ping
from swarmlet.gossip.outbox import Outbox
from swarmlet.gossip.record_news import RecordNews
from swarmlet.gossip.records import Records
from swarmlet.gossip.settings import GossipSettings
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness

NO_PROBE = 0
"""The sequence of a ping whose answer is not waited for: whoever answers it refutes as well."""


class Afterlife:
    def __init__(
        self,
        members: Members,
        records: Records,
        record_news: RecordNews,
        courier: Courier,
        outbox: Outbox,
        settings: GossipSettings,
        rng: Random,
        now: float,
    ) -> None:
        self._members, self._records, self._record_news = members, records, record_news
        self._courier, self._outbox, self._settings, self._rng = courier, outbox, settings, rng
        self._reclaim_at = now
        self._sweep_at = now + settings.sweep_interval_s
        self._strangers: set[NodeId] = set()

    def deadline(self) -> float:
        return min(self._sweep_at, self._reclaim_at if self._members.dead else inf)

    def on_time(self, now: float) -> None:
        if now >= self._reclaim_at and self._members.dead:
            self._reclaim_at = now + self._settings.reclaim_interval_s
            peer = self._rng.choice(self._members.dead)
            self._courier.send(peer.address, peer.node_id, [Ping(NO_PROBE, peer.node_id)])
        if now >= self._sweep_at:
            self._sweep_at = now + self._settings.sweep_interval_s
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        for entry in list(self._expired(now)):
            self._record_news.forget(entry.node_id)
            self._members.remove(entry.node_id)
            self._outbox.emit(Forgotten(entry.node_id))
        self._records.purge_tombstones(now - self._settings.tombstone_retention_s)
        strangers = {node_id for node_id in self._records.nodes() if self._members.get(node_id) is None}
        for node_id in sorted(strangers & self._strangers):
            self._record_news.forget(node_id)
        self._strangers = strangers - self._strangers

    def _expired(self, now: float) -> Iterator[Entry]:
        for entry in self._members.entries():
            since_s = now - entry.changed_at
            if (entry.liveness is Liveness.DEAD and since_s >= self._settings.forget_dead_after_s) or (
                entry.liveness is Liveness.LEFT and since_s >= self._settings.forget_left_after_s
            ):
                yield entry
