"""Puts a snapshot together from its chunks, wherever they were interrupted (§7)."""

from swarmlet.model.ids import NodeId
from swarmlet.model.pieces import joined
from swarmlet.raft.durable import Snapshot
from swarmlet.raft.messages import InstallSnapshot


class SnapshotAssembly:
    """One snapshot of one server, by which it is known: two servers' snapshots of one index may differ in bytes."""

    def __init__(self, leader: NodeId, chunk: InstallSnapshot, bytes_max: int) -> None:
        self._key = (leader, chunk.last_index, chunk.last_term)
        self._bytes_max = bytes_max
        self._chunks: list[bytes] = []
        self._size_bytes = 0

    @property
    def next_offset(self) -> int:
        return self._size_bytes

    def belongs(self, leader: NodeId, chunk: InstallSnapshot) -> bool:
        return self._key == (leader, chunk.last_index, chunk.last_term)

    def take(self, chunk: InstallSnapshot) -> Snapshot | None:
        """The snapshot when this was its last chunk. A chunk out of turn is left: the sender is told what is next."""
        if chunk.offset != self.next_offset or self.next_offset + len(chunk.data) > self._bytes_max:
            return None
        self._chunks.append(chunk.data)
        self._size_bytes += len(chunk.data)
        if not chunk.done:
            return None
        return Snapshot(chunk.last_index, chunk.last_term, chunk.membership, joined(self._chunks))
