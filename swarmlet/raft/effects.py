"""What a server wants done: the outputs of `Raft.step`, to be carried out in their order.

`ApplyEntries` is the last effect of its step, so the shell may step again (with `Compact`) while it applies.
"""

from dataclasses import dataclass
from enum import StrEnum

from swarmlet.model.ids import NodeId
from swarmlet.raft.durable import Entry, HardState, Snapshot
from swarmlet.raft.messages import Message


class Role(StrEnum):
    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Refusal(StrEnum):
    """Why a proposal or a read was not taken."""

    NOT_LEADER = "not the leader"
    TRANSFERRING = "leadership is being handed over"
    OVERLOADED = "too much is waiting already"
    TOO_LARGE = "the command is larger than a log entry may be"
    TERM_TOO_YOUNG = "the leader has not committed an entry of its own term yet"
    CHANGE_IN_PROGRESS = "another membership change is not committed yet"
    NO_CHANGE = "the membership is so already"
    NOT_A_MEMBER = "the node is not a member"
    LEARNER_BEHIND = "the learner has not caught up"
    LAST_VOTER = "the last voter has to stay"


@dataclass(frozen=True, slots=True)
class Send:
    to: NodeId
    message: Message


@dataclass(frozen=True, slots=True)
class Persist:
    """Write all of it in the order of the fields, as one, and sync it; then feed `PersistDone(sequence)`."""

    sequence: int
    hard_state: HardState | None
    truncate_from: int | None
    """Delete this entry and all after it."""
    entries: tuple[Entry, ...]
    snapshot: Snapshot | None
    compact_to: int | None
    """Delete this entry and all before it."""


@dataclass(frozen=True, slots=True)
class ApplyEntries:
    """Committed, on this server's disk, in order, each once."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class ApplySnapshot:
    """Replace the state machine. Entries after `snapshot.last_index` follow."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class ProposalAccepted:
    """It is in this leader's log. It is committed if the entry applied at `index` has this `term`, else lost."""

    request: int
    index: int
    term: int


@dataclass(frozen=True, slots=True)
class ProposalRefused:
    request: int
    reason: Refusal
    leader_id: NodeId | None


@dataclass(frozen=True, slots=True)
class ReadReady:
    """A read that sees everything applied up to `index` is linearizable."""

    request: int
    index: int


@dataclass(frozen=True, slots=True)
class ReadRefused:
    request: int
    reason: Refusal
    leader_id: NodeId | None


@dataclass(frozen=True, slots=True)
class RoleChanged:
    role: Role
    term: int
    leader_id: NodeId | None


Effect = (
    Send
    | Persist
    | ApplyEntries
    | ApplySnapshot
    | ProposalAccepted
    | ProposalRefused
    | ReadReady
    | ReadRefused
    | RoleChanged
)
