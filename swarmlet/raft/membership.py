"""Who takes part: changes, and the memberships along a log.

Rules:
- A membership holds from the moment its entry is appended, committed or not; cutting the entry off undoes it.
- A single change moves at most one voter, so the majorities before and after share a server (thesis §4.1).
- A change of several voters goes through a joint membership, in which the majorities of the old and of the new
  voters both have to agree (§6, thesis §4.3). Once its entry is committed, whoever leads then appends the one that
  leaves it; no other change begins before.
- A node becomes a learner first and a voter when it has the log, so that adding it never stalls commits (§4.2.1).
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from swarmlet.model.ids import NodeId
from swarmlet.raft.durable import Entry, EntryKind, Membership, Snapshot, decode_membership
from swarmlet.raft.quorum import JointConfig


@dataclass(frozen=True, slots=True)
class AddLearner:
    node: NodeId


@dataclass(frozen=True, slots=True)
class Promote:
    """Learner to voter."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class Demote:
    """Voter to learner."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class Remove:
    node: NodeId


@dataclass(frozen=True, slots=True)
class ChangeVoters:
    """From the present voters to these at once."""

    voters: frozenset[NodeId]
    removed: frozenset[NodeId] = frozenset()
    """Those who leave for good. Any other who votes no more stays as a learner."""

    def __post_init__(self) -> None:
        assert not self.voters & self.removed, "nobody votes and leaves"


SingleChange = AddLearner | Promote | Demote | Remove
MembershipChange = SingleChange | ChangeVoters


def changed(membership: Membership, change: MembershipChange) -> Membership:
    """The membership after a change of one that is not joint; the same one when there is nothing to change."""
    assert not membership.is_joint, "one change at a time"
    if isinstance(change, ChangeVoters):
        return _joint(membership, change)
    node = frozenset({change.node})
    voters, learners = membership.voters, membership.learners
    match change:
        case AddLearner() if change.node not in voters:
            learners = learners | node
        case Promote() if change.node in learners:
            voters, learners = voters | node, learners - node
        case Demote() if change.node in voters:
            voters, learners = voters - node, learners | node
        case Remove():
            voters, learners = voters - node, learners - node
    return Membership(voters, learners)


def _joint(membership: Membership, change: ChangeVoters) -> Membership:
    """C_old,new. Who is to stay without a vote is a learner already, and votes with the outgoing until that is left."""
    learners = (membership.learners | membership.voters) - change.voters - change.removed
    if change.voters == membership.voters:
        return Membership(membership.voters, learners)
    return Membership(change.voters, learners, outgoing=membership.voters)


def joint_left(membership: Membership) -> Membership:
    """C_new, after the joint membership."""
    return Membership(membership.voters, membership.learners)


def new_voters(before: Membership, after: Membership) -> frozenset[NodeId]:
    return after.voters - before.voters


class MembershipLog:
    """The memberships along one log, from the start of what is kept of it."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._indices: list[int] = []
        self._memberships: list[Membership] = []
        self.reset(snapshot)

    @property
    def latest(self) -> Membership:
        return self._memberships[-1]

    @property
    def latest_index(self) -> int:
        """Index of the entry that made the latest membership."""
        return self._indices[-1]

    def at(self, index: int) -> Membership:
        """The membership that held after the entry at `index`, which must not be before the log's snapshot."""
        position = bisect_right(self._indices, index) - 1
        assert position >= 0, f"the membership at {index} is forgotten"
        return self._memberships[position]

    def may_have_voter(self, node: NodeId, commit_index: int) -> bool:
        """Whether the node votes in a membership that may be in force when this much is known to be committed.

        A server that its latest membership leaves out may still be the only one with the log to be elected, and so
        to commit that membership (thesis §4.2.2).
        """
        first = bisect_right(self._indices, commit_index) - 1
        return any(membership.is_voter(node) for membership in self._memberships[first:])

    def take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.MEMBERSHIP:
                self._indices.append(entry.index)
                self._memberships.append(decode_membership(entry.data))
                self._set_quorum()

    def truncate(self, from_index: int) -> None:
        if self._indices[-1] < from_index:
            return
        while self._indices[-1] >= from_index:
            self._indices.pop()
            self._memberships.pop()
        self._set_quorum()

    def forget_before(self, index: int) -> None:
        """Keep what is needed to know the membership from `index` on."""
        position = bisect_right(self._indices, index) - 1
        del self._indices[:position], self._memberships[:position]

    def reset(self, snapshot: Snapshot | None) -> None:
        self._indices = [snapshot.last_index if snapshot else 0]
        self._memberships = [snapshot.membership if snapshot else Membership()]
        self._set_quorum()

    def _set_quorum(self) -> None:
        self.quorum: JointConfig[NodeId] = JointConfig(self.latest.voters, self.latest.outgoing)
