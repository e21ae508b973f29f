"""What must hold after every step, whatever goes wrong (Raft figure 3, and what clients rely on)."""

from collections.abc import Iterable, Mapping

from sim_log_image import LogImage
from sim_machine import Machine, Reference
from sim_violation import check

from swarmlet.model.ids import NodeId
from swarmlet.model.transaction import RequestId
from swarmlet.raft import Entry, EntryKind, HardState, JointConfig, Membership, Persist, Snapshot, decode_membership
from swarmlet.raft.messages import AppendAccepted, Message, VoteRequest, VoteResponse
from swarmlet.store import TransactionResult, decode_transaction

HASH_EVERY = 8
"""A state's hash reads all of it; between those indices results and revisions are compared."""


class Invariants:
    def __init__(self) -> None:
        self.reference = Reference()
        self.applied: dict[int, Entry] = {}
        self.writes_acknowledged = self.reads_served = self.joint_memberships = 0
        self._leaders: dict[int, NodeId] = {}
        self._written: dict[tuple[int, int], tuple[int | None, Entry]] = {}
        self._committed_in: dict[int, tuple[int, int]] = {}
        """By the term of a leader: index and term of the last entry that it committed."""
        self._committed_terms: dict[int, int] = {}
        self._acknowledged_revision = 0
        self._last_membership: tuple[int, Membership] = (0, Membership())

    def begin(self, snapshot: Snapshot) -> None:
        """With a state that there was before the log."""
        self.reference.begin(snapshot)
        self._last_membership = (snapshot.last_index, snapshot.membership)

    @property
    def applied_index(self) -> int:
        """The highest index that anybody has applied."""
        return self.reference.index

    @property
    def acknowledged_revision(self) -> int:
        """The last one that a client was told of."""
        return self._acknowledged_revision

    # The log

    def leader_elected(self, node: NodeId, term: int, log: LogImage) -> None:
        check(self._leaders.setdefault(term, node) == node, "election safety", term, self._leaders[term], node)
        # A leader of an earlier term may still be elected late; it need not have what later ones committed.
        earlier = max((found for in_term, found in self._committed_in.items() if in_term < term), default=(0, 0))
        check(log.covers(*earlier), "leader completeness", node, term, earlier)

    def written(self, node: NodeId, led: bool, persist: Persist, before: LogImage, log: LogImage) -> None:
        """`log` is the server's log with the write carried out."""
        check(not led or persist.truncate_from is None, "leader append-only", node, persist.truncate_from)
        if persist.truncate_from is not None:
            for index, term in self._committed_terms.items():
                kept = index < persist.truncate_from or before.term_at(index) != term or log.covers(index, term)
                check(kept, "what is committed stays in every log", node, index, term, persist.truncate_from)
        for entry in persist.entries:
            fact = (log.term_at(entry.index - 1), entry)
            previous = self._written.setdefault((entry.index, entry.term), fact)
            same = previous[1] == entry and (previous[0] == fact[0] or None in (previous[0], fact[0]))
            check(same, "log matching", node, previous, fact)

    def committed(
        self,
        node: NodeId,
        in_term: int,
        index: int,
        log: LogImage,
        membership: Membership,
        disks: Mapping[NodeId, LogImage],
    ) -> None:
        """A leader counts an entry as committed: a quorum has it on disk."""
        term = log.term_at(index)
        assert term is not None
        acked = {other: index for other, durable in disks.items() if durable.covers(index, term)}
        quorum = JointConfig(membership.voters, membership.outgoing)
        check(term == in_term, "a leader commits by its own term's entries", node, in_term, index, term)
        self._committed_in[in_term] = (index, term)
        check(quorum.committed_index(acked) >= index, "commit on a quorum's disks", node, index, term, sorted(acked))
        while index not in self._committed_terms and (term := log.term_at(index)) is not None:
            self._committed_terms[index] = term
            index -= 1

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

    # Configurations

    def membership_proposed(self, node: NodeId, in_term: int, commit_index: int, log: LogImage, index: int) -> None:
        """A leader has put a membership into its log: the one before it is committed, and so is its own term's start.

        Otherwise two memberships may be in force whose majorities don't meet (Ongaro, "Bug in single-server
        membership changes", 2015).
        """
        settled = log.term_at(commit_index) == in_term
        check(settled, "configuration safety: a change before the term's first commit", node, in_term, index)
        for other in range(commit_index + 1, index):
            entry = log.entries.get(other)
            is_membership = entry is not None and entry.kind is EntryKind.MEMBERSHIP
            check(not is_membership, "configuration safety: two changes under way", node, other, index)

    def _membership_applied(self, entry: Entry) -> None:
        after, before = decode_membership(entry.data), self._last_membership[1]
        check(_may_follow(before, after), "configuration safety: majorities that follow each other meet", before, after)
        self.joint_memberships += after.is_joint
        self._last_membership = (entry.index, after)

    # The state machine

    def entry_applied(
        self, node: NodeId, entry: Entry, result: TransactionResult | None, machine: Machine, durable: LogImage
    ) -> None:
        first = self.applied.setdefault(entry.index, entry)
        check(first == entry, "state machine safety", node, first, entry)
        check(durable.covers(entry.index, entry.term), "applied before it was on disk", node, entry.index)
        if entry.kind is EntryKind.MEMBERSHIP and entry.index > self._last_membership[0]:
            self._membership_applied(entry)
        self.reference.learn(entry)
        same = result == self.reference.results[entry.index]
        check(same, "equal results at equal indices", node, entry.index, result, self.reference.results[entry.index])
        if entry.index % HASH_EVERY == 0:
            self.state_reached(node, machine)

    def state_reached(self, node: NodeId, machine: Machine) -> None:
        same = machine.store.state_hash() == self.reference.hash_at(machine.index)
        check(same, "equal states at equal indices", node, machine.index)

    def same_state(self, reached: Iterable[tuple[NodeId, Machine]]) -> None:
        facts = [(node, machine.index, machine.store.state_hash()) for node, machine in reached]
        check(len({(index, state) for _, index, state in facts}) <= 1, "the same state everywhere", facts)

    # What clients are told

    def write_acknowledged(self, node: NodeId, request: RequestId, index: int, result: TransactionResult) -> None:
        """It is in the one log, where it is said to be, with the result that was told."""
        entry = self.applied.get(index)
        told = entry is not None and decode_transaction(entry.data).request == request
        check(told, "no acknowledged write is lost", node, request, index, entry)
        check(result == self.reference.results[index], "a write brings what was told", node, request, index, result)
        self._acknowledged_revision = max(self._acknowledged_revision, result.revision)
        self.writes_acknowledged += 1

    def read_ready(self, node: NodeId, index: int, applied_before: int) -> None:
        check(index >= applied_before, "no stale read: the index", node, index, applied_before)

    def read_served(self, node: NodeId, revision: int, acknowledged_before: int) -> None:
        fresh = revision >= acknowledged_before
        check(fresh, "no stale read: a write acknowledged before is missing", node, revision, acknowledged_before)
        self.reads_served += 1


def _may_follow(before: Membership, after: Membership) -> bool:
    """Whether `after` is one step from `before`: one voter, or into or out of a joint membership (Raft §6)."""
    if after.is_joint:
        return not before.is_joint and after.outgoing == before.voters
    if before.is_joint:
        return after.voters == before.voters
    return len(after.voters ^ before.voters) <= 1
