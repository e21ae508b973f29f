"""Numbers a leader's heartbeats, and knows from their answers when it last led for certain.

A server that answers the heartbeat of a round knew no later term than the leader's when it did, which was after
the round began. So once a quorum has answered a round, nobody else led when it began. Both check-quorum (a leader
whose last such round is too old steps down, thesis §6.2), reads (§6.4) and leases (§6.4.1) follow from that one fact.
"""

from collections import deque
from math import inf
from typing import NamedTuple

from swarmlet.model.ids import NodeId
from swarmlet.raft.quorum import JointConfig


class _Round(NamedTuple):
    number: int
    began_at: float
    began_uncut_at: float


class HeartbeatRounds:
    def __init__(self, own_id: NodeId, now: float) -> None:
        self._own_id = own_id
        self.current = 0
        self._answered: dict[NodeId, int] = {}
        self._began: deque[_Round] = deque([_Round(0, now, -inf)])
        """From the last confirmed round on; a leader steps down before it grows long."""

    def begin(self, now: float, uncut_now: float) -> int:
        self.current += 1
        self._answered[self._own_id] = self.current
        self._began.append(_Round(self.current, now, uncut_now))
        return self.current

    def answered(self, node: NodeId, round_number: int) -> None:
        if self._answered.get(node, 0) < round_number <= self.current:
            self._answered[node] = round_number

    def confirmed(self, quorum: JointConfig[NodeId]) -> int:
        """The last round that a quorum has answered."""
        confirmed = min(quorum.committed_index(self._answered), self.current)
        while self._began[0].number < confirmed:
            self._began.popleft()
        return self._began[0].number

    def confirmed_s(self, quorum: JointConfig[NodeId], uncut_now: float) -> float:
        """How long ago the last confirmed round began, a time in which this server was stopped included."""
        self.confirmed(quorum)
        return uncut_now - self._began[0].began_uncut_at

    def unanswered_s(self, quorum: JointConfig[NodeId], now: float) -> float:
        """How long ago the last confirmed round began; 0 when none has begun since."""
        if self.confirmed(quorum) == self.current:
            return 0.0
        return now - self._began[0].began_at
