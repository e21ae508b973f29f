"""What can happen to a server: the inputs of `Raft.step`."""

from dataclasses import dataclass

from swarmlet.model.ids import NodeId
from swarmlet.model.pieces import SnapshotData
from swarmlet.raft.membership import MembershipChange
from swarmlet.raft.messages import Message


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed. Comes several times in the shortest election timeout; its spacing does not matter."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    sender: NodeId
    message: Message


@dataclass(frozen=True, slots=True)
class Propose:
    """Append a command to the log. `request` is the shell's name for it until its index is known."""

    request: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ProposeMembership:
    request: int
    change: MembershipChange


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Ask for an index that a linearizable read has to wait for."""

    request: int


@dataclass(frozen=True, slots=True)
class TransferLeadership:
    """Hand leadership over, to the voter with the longest log where no target is named. Only a leader does."""

    target: NodeId | None


@dataclass(frozen=True, slots=True)
class LeaderUnreachable:
    """There is evidence that this server's process is gone: its connection was lost and its port refuses another."""

    leader_id: NodeId


@dataclass(frozen=True, slots=True)
class PersistDone:
    """The write with this sequence, and all before it, are synced to disk."""

    sequence: int


@dataclass(frozen=True, slots=True)
class DiskFailed:
    """The disk takes no more writes. A leader hands over at once; the shell lets this server rest afterwards."""


@dataclass(frozen=True, slots=True)
class Compact:
    """The state machine's snapshot after it applied `index`: the log before it may go."""

    index: int
    data: SnapshotData


Event = (
    Tick
    | MessageReceived
    | Propose
    | ProposeMembership
    | ReadRequest
    | TransferLeadership
    | LeaderUnreachable
    | PersistDone
    | DiskFailed
    | Compact
)
