"""Keeps messages about other logs from the Raft core: those of an epoch that a recovery ended, and of other clusters.

Terms and indices say nothing across logs of different lineage (`storage.lineage`), so every Raft message is preceded by
its sender's. Rules:
- The same lineage: let in. A node without any log takes that of the first leader it hears from.
- An older epoch: dropped. Its sender learns of the newer one when the leader adds it.
- A newer epoch, from a leader: this node's log was ended by a recovery; it is put aside (`LogSuperseded`).
- A foreign log: dropped, and said in `problems`.
Decision 0016.
"""

import time

import msgpack
import structlog

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.raft import Message, MessageInvalid, Wire
from swarmlet.raft.messages import AppendEntries, CommitAdvanced, Heartbeat, InstallSnapshot
from swarmlet.storage import NO_LINEAGE, Lineage, RaftStorage, Relation

FOREIGN_SHOWN_S = 10.0
FOREIGN_MAX = 100
LEADER_HEARD_S = 3.0

log = structlog.get_logger()


class LogSuperseded(SwarmletError):
    """The cluster was recovered from another node: this node's log belongs to its past."""

    def __init__(self, own: Lineage, newer: Lineage) -> None:
        super().__init__(f"the log of epoch {own.epoch} was ended by a recovery, which began epoch {newer.epoch}")
        self.own = own
        self.newer = newer


class LogFilter:
    def __init__(self, storage: RaftStorage) -> None:
        self._storage = storage
        self._wire = Wire()
        self._last_sent = (b"", b"")
        """A message before and after it was put into the envelope: often the same goes to several peers."""
        self._foreign: dict[NodeId, float] = {}
        self._leader: tuple[NodeId, float] | None = None
        self.dropped = 0
        self.refresh()

    def refresh(self) -> None:
        """Look again which log this is."""
        self._lineage = self._storage.lineage
        encoded: bytes = msgpack.packb(list(self._lineage))
        self.envelope = bytes((len(encoded),)) + encoded
        """What precedes each message."""
        self._last_sent = (b"", b"")

    def encode(self, to: NodeId, message: Message) -> bytes:
        encoded = self._wire.encode(to, message)
        if self._last_sent[0] is not encoded:
            self._last_sent = (encoded, self.envelope + encoded)
        return self._last_sent[1]

    def notice(self) -> bytes:
        """Answers a message of an unknown version."""
        return self.envelope + self._wire.notice()

    def accepted(self, sender: NodeId, body: bytes, is_new: bool) -> Message | None:
        """The message, if it is about this log; `is_new` when this node has none. None also for a notice.

        Raises `LogSuperseded`, and what `Wire.decode` raises.
        """
        if body.startswith(self.envelope):
            message = self._wire.decode(sender, body[len(self.envelope) :])
            self._note_leader(sender, message)
            return message
        lineage, rest = _opened(body)
        message = self._wire.decode(sender, rest)
        is_from_leader = isinstance(message, AppendEntries | Heartbeat | CommitAdvanced | InstallSnapshot)
        if is_new and self._lineage == NO_LINEAGE and is_from_leader:
            self._storage.adopt(lineage)
            self.refresh()
            return message
        match self._lineage.relation_of(lineage):
            case Relation.NEWER if is_from_leader:
                raise LogSuperseded(self._lineage, lineage)
            case Relation.FOREIGN if self._lineage != NO_LINEAGE:
                self._note_foreign(sender, lineage)
        self.dropped += 1
        return None

    def leader_heard(self) -> NodeId | None:
        """Who leads, for a node without a core: who was heard leading just now."""
        if self._leader is None or time.monotonic() - self._leader[1] > LEADER_HEARD_S:
            return None
        return self._leader[0]

    def problems(self) -> list[str]:
        since = time.monotonic() - FOREIGN_SHOWN_S
        return [
            f"node {node} has the log of another cluster, or of another recovery of this one: they are not mixed; "
            "move the data directory of the one that is to give way"
            for node, heard_at in sorted(self._foreign.items())
            if heard_at > since
        ]

    def _note_leader(self, sender: NodeId, message: Message | None) -> None:
        if isinstance(message, AppendEntries | Heartbeat | InstallSnapshot):
            self._leader = (sender, time.monotonic())

    def _note_foreign(self, sender: NodeId, lineage: Lineage) -> None:
        if sender not in self._foreign:
            log.error("foreign_log", node=sender, own=self._lineage, other=lineage)
        if sender in self._foreign or len(self._foreign) < FOREIGN_MAX:
            self._foreign[sender] = time.monotonic()


def _opened(body: bytes) -> tuple[Lineage, bytes]:
    """Which log a message is about, and the message. Raises `MessageInvalid`."""
    try:
        size = body[0]
        log_id, epoch, recovery = msgpack.unpackb(body[1 : 1 + size])
        lineage = Lineage(str(log_id), int(epoch), str(recovery))
    except (msgpack.UnpackException, ValueError, TypeError, IndexError) as error:
        raise MessageInvalid(f"it does not say which log it is about ({error})") from error
    return lineage, body[1 + size :]
