"""The gate for bytes from outside: what does not decode is counted by its reason and dropped, never raised.

A node of this cluster whose agent speaks no version of ours is reported too, once: somebody has to upgrade it.
"""

from collections.abc import Callable
from typing import TypeVar

from swarmlet.gossip.codec import ForeignCluster, ForeignVersion, decode_packet
from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.errors import Malformed
from swarmlet.gossip.events import Incompatible
from swarmlet.gossip.exchange_codec import decode_exchange
from swarmlet.gossip.local_node import LocalNode
from swarmlet.gossip.messages import Alive, ExchangeState, Packet
from swarmlet.gossip.outbox import Outbox
from swarmlet.gossip.versions import VersionRange
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address

T = TypeVar("T")
INCOMPATIBLE_MAX = 1000
"""Remembered, so that each is reported once."""


class Intake:
    def __init__(self, local: LocalNode, outbox: Outbox, counters: GossipCounters) -> None:
        self._local, self._outbox, self._counters = local, outbox, counters
        self._reported: set[tuple[NodeId, VersionRange]] = set()

    def datagram(self, payload: bytes, source: Address) -> Packet | None:
        return self._accepted(decode_packet, payload, source)

    def exchange(self, payload: bytes) -> ExchangeState | None:
        return self._accepted(decode_exchange, payload, None)

    def welcomes(self, alive: Alive) -> bool:
        """Whether this node can be a member here."""
        if alive.versions.overlaps(self._local.versions):
            return True
        self._counters.incompatible_members += 1
        self._report(alive.node_id, alive.address, alive.versions)
        return False

    def _accepted(
        self, decode: Callable[[bytes, str, VersionRange], T], payload: bytes, source: Address | None
    ) -> T | None:
        try:
            return decode(payload, self._local.cluster, self._local.versions)
        except Malformed:
            self._counters.malformed += 1
        except ForeignCluster:
            self._counters.foreign_cluster += 1
        except ForeignVersion as error:
            self._counters.foreign_version += 1
            self._report(error.sender, source, VersionRange(error.version, error.version))
        return None

    def _report(self, node_id: NodeId, address: Address | None, theirs: VersionRange) -> None:
        if (node_id, theirs) not in self._reported and len(self._reported) < INCOMPATIBLE_MAX:
            self._reported.add((node_id, theirs))
            self._outbox.emit(Incompatible(node_id, address, theirs, self._local.versions))
