"""What a server keeps on its disk, and nothing else: entries, term and vote, snapshots.

Rules:
- Indices start at 1 and have no holes; index 0 with term 0 is the position before the first entry.
- Terms never decrease along a log.
- A membership entry carries the whole membership that it makes, so that undoing it is forgetting it.
Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (Raft), figure 2.
"""

from dataclasses import dataclass
from enum import IntEnum

import msgpack

from swarmlet.model.ids import NodeId
from swarmlet.model.pieces import SnapshotData


class EntryKind(IntEnum):
    NORMAL = 0
    """Carries a command of the state machine."""
    NOOP = 1
    """Opens a leader's term: committing it commits everything before it (§8)."""
    MEMBERSHIP = 2
    """Carries the membership that holds from this entry on."""


@dataclass(frozen=True, slots=True)
class Entry:
    index: int
    term: int
    kind: EntryKind
    data: bytes


@dataclass(frozen=True, slots=True)
class HardState:
    term: int
    voted_for: NodeId | None


@dataclass(frozen=True, slots=True)
class Membership:
    """Who takes part. A node that is in none of the sets does not belong to the cluster."""

    voters: frozenset[NodeId] = frozenset()
    learners: frozenset[NodeId] = frozenset()
    """Get the log, but have no say."""
    outgoing: frozenset[NodeId] = frozenset()
    """The voters before a change of several at once, while it is under way: both sets have to agree. Else empty.
    Who is among the learners too stays as one when that is over."""

    @property
    def members(self) -> frozenset[NodeId]:
        return self.voters | self.learners | self.outgoing

    @property
    def is_joint(self) -> bool:
        return bool(self.outgoing)

    def is_voter(self, node: NodeId) -> bool:
        return node in self.voters or node in self.outgoing


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state machine after `last_index` was applied, in place of the log up to there."""

    last_index: int
    last_term: int
    membership: Membership
    data: SnapshotData


@dataclass(frozen=True, slots=True)
class LostTail:
    """What a server acknowledged and its disk then lost. An election that counts on such a server may lose what is
    committed, so it neither votes nor campaigns until it has caught up (`Server.lost_tail`)."""

    last_index: int
    """Where its log ended at most."""
    term: int
    """The latest term in which it can have acknowledged any of it."""


@dataclass(frozen=True, slots=True)
class RestoredState:
    """What a server finds on its disk when it starts. The entries may begin before the snapshot's end."""

    hard_state: HardState
    snapshot: Snapshot | None
    entries: tuple[Entry, ...]
    lost_tail: LostTail | None = None


def bootstrap_state(node_id: NodeId) -> RestoredState:
    """The first state of a brand-new cluster whose only voter is this node."""
    first = Entry(1, 1, EntryKind.MEMBERSHIP, encode_membership(Membership(voters=frozenset({node_id}))))
    return RestoredState(HardState(1, None), None, (first,))


def encode_membership(membership: Membership) -> bytes:
    groups = [sorted(group) for group in (membership.voters, membership.learners, membership.outgoing)]
    packed: bytes = msgpack.packb(groups)
    return packed


def decode_membership(data: bytes) -> Membership:
    """Raises `ValueError` on foreign bytes."""
    groups = msgpack.unpackb(data)
    if not (isinstance(groups, list) and len(groups) == 3):
        raise ValueError("a membership is three lists of node ids")
    voters, learners, outgoing = (frozenset(NodeId(str(node)) for node in group) for group in groups)
    return Membership(voters, learners, outgoing)
