"""What must hold after every step, whatever goes wrong (Raft figure 3, and what clients rely on)."""

from collections.abc import Iterable

from sim_disk import LogImage

from swarmlet.model.ids import NodeId
from swarmlet.raft import Entry, EntryKind, HardState, JointConfig, Membership, Persist, decode_membership
from swarmlet.raft.messages import AppendAccepted, Message, VoteRequest, VoteResponse


class Violation(AssertionError):
    """An invariant is broken."""


def check(holds: bool, invariant: str, *facts: object) -> None:
    if not holds:
        raise Violation(f"{invariant}: {', '.join(map(str, facts))}")


class Invariants:
    def __init__(self) -> None:
        self._leaders: dict[int, NodeId] = {}
        self._written: dict[tuple[int, int], tuple[int | None, Entry]] = {}
        self.applied: dict[int, Entry] = {}
        self._committed_in: dict[int, tuple[int, int]] = {}
        """By the term of a leader: index and term of the last entry that it committed."""
        self._states: dict[int, int] = {}
        self._last_membership: tuple[int, Membership] = (0, Membership())

    @property
    def applied_index(self) -> int:
        """The highest index that anybody has applied."""
        return max(self._states, default=0)

    def leader_elected(self, node: NodeId, term: int, log: LogImage) -> None:
        check(self._leaders.setdefault(term, node) == node, "election safety", term, self._leaders[term], node)
        # A leader of an earlier term may still be elected late; it need not have what later ones committed.
        earlier = max((found for in_term, found in self._committed_in.items() if in_term < term), default=(0, 0))
        check(log.covers(*earlier), "leader completeness", node, term, earlier)

    def written(self, node: NodeId, led: bool, persist: Persist, log: LogImage) -> None:
        """`log` is the server's log with the write carried out."""
        check(not led or persist.truncate_from is None, "leader append-only", node, persist.truncate_from)
        for entry in persist.entries:
            fact = (log.term_at(entry.index - 1), entry)
            previous = self._written.setdefault((entry.index, entry.term), fact)
            same = previous[1] == entry and (previous[0] == fact[0] or None in (previous[0], fact[0]))
            check(same, "log matching", node, previous, fact)

    def committed(
        self, node: NodeId, in_term: int, index: int, term: int, membership: Membership, disks: dict[NodeId, LogImage]
    ) -> None:
        """A leader counts an entry as committed: a quorum has it on disk."""
        acked = {other: index for other, durable in disks.items() if durable.covers(index, term)}
        quorum = JointConfig(membership.voters, membership.outgoing)
        check(term == in_term, "a leader commits by its own term's entries", node, in_term, index, term)
        self._committed_in[in_term] = (index, term)
        check(quorum.committed_index(acked) >= index, "commit on a quorum's disks", node, index, term, sorted(acked))

    def entry_applied(self, node: NodeId, entry: Entry, state: int, durable: LogImage) -> None:
        first = self.applied.setdefault(entry.index, entry)
        check(first == entry, "state machine safety", node, first, entry)
        self.state_reached(node, entry.index, state)
        check(durable.covers(entry.index, entry.term), "applied before it was on disk", node, entry.index)
        if entry.kind is EntryKind.MEMBERSHIP and entry.index > self._last_membership[0]:
            after, before = decode_membership(entry.data), self._last_membership[1]
            check(_may_follow(before, after), "majorities that follow each other share a voter", before, after)
            self._last_membership = (entry.index, after)

    def state_reached(self, node: NodeId, index: int, state: int) -> None:
        check(self._states.setdefault(index, state) == state, "equal states at equal indices", node, index)

    def said(self, node: NodeId, to: NodeId, message: Message, durable: LogImage) -> None:
        """What a server says of its disk is on its disk, or was when a later term came over it."""
        term = durable.hard_state.term
        match message:
            case AppendAccepted(said_term, match_index):
                check(term >= said_term, "acknowledged before the term was on disk", node, message)
                on_disk = durable.last_index >= match_index or term > said_term
                check(on_disk, "acknowledged before it was on disk", node, message)
            case VoteResponse(said_term, granted=True) | VoteRequest(said_term):
                vote = to if isinstance(message, VoteResponse) else node
                on_disk = term > said_term or durable.hard_state == HardState(said_term, vote)
                check(on_disk, "voted before it was on disk", node, to, message, durable.hard_state)

    def read_served(self, node: NodeId, index: int, applied_before: int) -> None:
        check(index >= applied_before, "no stale read", node, index, applied_before)

    def same_state(self, reached: Iterable[tuple[NodeId, int, int]]) -> None:
        facts = list(reached)
        check(len({(index, state) for _, index, state in facts}) <= 1, "the same state everywhere", facts)


def _may_follow(before: Membership, after: Membership) -> bool:
    """Whether `after` is one step from `before`: one voter, or into or out of a joint membership (Raft §6)."""
    if after.is_joint:
        return not before.is_joint and after.outgoing == before.voters
    if before.is_joint:
        return after.voters == before.voters
    return len(after.voters ^ before.voters) <= 1
