"""What this peer has seen by gossip, and since when. Kept whoever leads, so that a new leader need not begin to wait.

Rules:
- A node is gone since this peer's own gossip said so. Where the cluster agreed on it earlier (this peer may have
  started since), that counts: both are past, and the earlier is the truth.
- Silence about a node says something only once this peer's gossip has reached others at all.
"""

from collections.abc import Mapping

from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Node, NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.model.state import Versioned

GONE = (Liveness.DEAD, Liveness.LEFT)


class Sightings:
    """Times are monotonic unless they are called wall time."""

    def __init__(self, node_id: NodeId) -> None:
        self._node_id = node_id
        self._gone_since: dict[NodeId, float] = {}
        self.listening_since: float | None = None
        """Wall time at which this peer first knew of another one; None before."""

    def look(self, liveness: Mapping[NodeId, Liveness], now: float, wall_now: float) -> None:
        """To be told of every change, whether this peer leads or not."""
        gone = [node for node, each in liveness.items() if each in GONE]
        self._gone_since = {node: self._gone_since.get(node, now) for node in gone}
        if self.listening_since is None and liveness.keys() - {self._node_id}:
            self.listening_since = wall_now

    def gone_since(self, agreed: Mapping[NodeId, Versioned[Node]], now: float, wall_now: float) -> dict[NodeId, float]:
        """Since when each node that is gone has been so."""
        return {
            node: min(seen, _agreed_since(agreed.get(node), now, wall_now)) for node, seen in self._gone_since.items()
        }


def _agreed_since(agreed: Versioned[Node] | None, now: float, wall_now: float) -> float:
    if agreed is None or agreed.value.status is NodeStatus.UP:
        return now
    return now - max(0.0, wall_now - agreed.value.status_since)
