"""The gate for bytes from outside: what does not decode is counted by its reason and dropped, never raised."""

from collections.abc import Callable
from typing import TypeVar

from swarmlet.gossip.codec import ForeignCluster, ForeignVersion
from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.errors import Malformed

T = TypeVar("T")


def accepted(decode: Callable[[bytes, str], T], payload: bytes, cluster: str, counters: GossipCounters) -> T | None:
    try:
        return decode(payload, cluster)
    except Malformed:
        counters.malformed += 1
    except ForeignCluster:
        counters.foreign_cluster += 1
    except ForeignVersion:
        counters.foreign_version += 1
    return None
