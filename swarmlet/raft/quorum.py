"""The arithmetic of majorities: what is committed, and who has won. Stands alone; knows nothing of servers.

- A majority of n voters is n // 2 + 1; any two of them share a voter.
- In a joint configuration both majorities have to agree (Raft §6).
- The configuration without voters commits everything and wins every vote, so that it is neutral in a joint one.
Source: Ongaro and Ousterhout, Raft §5.2, §5.3, §6; the shape follows etcd-io/raft's `quorum` package.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

VoterT = TypeVar("VoterT", bound=Hashable)

EVERYTHING = 2**64 - 1
"""Index up to which the configuration without voters has committed: beyond every index of a log."""


class VoteResult(StrEnum):
    PENDING = "pending"
    """Can still be won or lost."""
    WON = "won"
    LOST = "lost"


class MajorityConfig(Generic[VoterT]):
    __slots__ = ("voters",)

    def __init__(self, voters: Iterable[VoterT] = ()) -> None:
        self.voters: frozenset[VoterT] = frozenset(voters)

    def __iter__(self) -> Iterator[VoterT]:
        return iter(self.voters)

    def __len__(self) -> int:
        return len(self.voters)

    def __contains__(self, voter: object) -> bool:
        return voter in self.voters

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MajorityConfig) and self.voters == other.voters

    def __hash__(self) -> int:
        return hash(self.voters)

    def __repr__(self) -> str:
        return f"MajorityConfig({sorted(map(str, self.voters))})"

    @property
    def majority(self) -> int:
        """How many voters have to agree."""
        return len(self.voters) // 2 + 1

    def committed_index(self, acked: Mapping[VoterT, int]) -> int:
        """The highest index that a majority has acknowledged; who is missing from `acked` has acknowledged 0."""
        if not self.voters:
            return EVERYTHING
        ascending = sorted([acked.get(voter, 0) for voter in self.voters])
        return ascending[-self.majority]

    def vote_result(self, votes: Mapping[VoterT, bool]) -> VoteResult:
        """Votes of others than the voters don't count; a voter who is missing from `votes` has not voted yet."""
        if not self.voters:
            return VoteResult.WON
        yes = sum(1 for voter in self.voters if votes.get(voter) is True)
        no = sum(1 for voter in self.voters if votes.get(voter) is False)
        if yes >= self.majority:
            return VoteResult.WON
        if len(self.voters) - no < self.majority:
            return VoteResult.LOST
        return VoteResult.PENDING


class JointConfig(Generic[VoterT]):
    """Two sets of voters that have to agree with each other; the second is empty outside of a change."""

    __slots__ = ("incoming", "outgoing")

    def __init__(self, incoming: Iterable[VoterT] = (), outgoing: Iterable[VoterT] = ()) -> None:
        self.incoming = MajorityConfig(incoming)
        self.outgoing = MajorityConfig(outgoing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JointConfig) and (self.incoming, self.outgoing) == (other.incoming, other.outgoing)

    def __hash__(self) -> int:
        return hash((self.incoming, self.outgoing))

    def __repr__(self) -> str:
        return f"JointConfig({self.incoming!r}, {self.outgoing!r})"

    @property
    def voters(self) -> frozenset[VoterT]:
        return self.incoming.voters | self.outgoing.voters

    def committed_index(self, acked: Mapping[VoterT, int]) -> int:
        return min(self.incoming.committed_index(acked), self.outgoing.committed_index(acked))

    def vote_result(self, votes: Mapping[VoterT, bool]) -> VoteResult:
        results = {self.incoming.vote_result(votes), self.outgoing.vote_result(votes)}
        if VoteResult.LOST in results:
            return VoteResult.LOST
        return VoteResult.PENDING if VoteResult.PENDING in results else VoteResult.WON
