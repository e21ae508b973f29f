"""How far each member's log is: only the leader knows, and any peer may ask it."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgpack

from swarmlet.drivers.consensus import Consensus
from swarmlet.model.ids import NodeId
from swarmlet.transport import PeerNetwork, PeerTimeout, PeerUnavailable, RemoteError

LOG_POSITIONS = "raft.positions"
TIMEOUT_S = 1.0
"""It is for people who look, so an answer without it soon is better than one with it late."""


@dataclass(frozen=True, slots=True)
class Position:
    match_index: int
    """The member has the log up to here on its disk."""
    answers: bool
    """The leader has heard of it lately."""


@dataclass(frozen=True, slots=True)
class LogPositions:
    last_index: int
    """Of the leader's log."""
    of: Mapping[NodeId, Position]


class LogPositionCalls:
    def __init__(self, consensus: Consensus, network: PeerNetwork) -> None:
        self._consensus, self._network = consensus, network
        network.on_call(LOG_POSITIONS, self._on_call)

    async def ask(self) -> LogPositions | None:
        """None where no leader is known, or none answers."""
        leader = self._consensus.leader_id
        if leader is None:
            return None
        try:
            answer = await self._network.call(leader, LOG_POSITIONS, b"", TIMEOUT_S)
        except (PeerUnavailable, PeerTimeout, RemoteError):
            return None
        last_index, rows = msgpack.unpackb(answer)
        if not rows:
            return None  # it leads no more
        return LogPositions(last_index, {NodeId(node): Position(match, answers) for node, match, answers in rows})

    async def _on_call(self, _sender: NodeId, _body: bytes) -> bytes:
        raft = self._consensus.raft
        rows = [(node, each.match_index, each.recently_active) for node, each in raft.progress().items()]
        if self._consensus.is_leader:
            rows.append((self._consensus.node_id, raft.last_index, True))
        packed: bytes = msgpack.packb((raft.last_index, rows))
        return packed
