"""What a server is whatever its role: its term and vote, its log, what is committed, and its clock.

The clock (`now`) runs only while the server does: a gap between two steps that is longer than half of the shortest
election timeout is cut to that. So a server that was stopped or stalled listens first, instead of blaming its peers
for its own silence. A lease must not outlive such a stop: it is measured on the shell's own clock (`uncut_now`).
Roles read and change a server through its methods; the invariants are held here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from random import Random

from swarmlet.model.ids import NodeId
from swarmlet.model.pieces import SnapshotData
from swarmlet.raft.durable import Entry, HardState, LostTail, Membership, RestoredState, Snapshot
from swarmlet.raft.effects import ApplyEntries, ApplySnapshot
from swarmlet.raft.log import RaftLog
from swarmlet.raft.membership import MembershipLog
from swarmlet.raft.outbox import Outbox
from swarmlet.raft.quorum import JointConfig
from swarmlet.raft.settings import RaftSettings


@dataclass(frozen=True, slots=True)
class StepDown:
    """Become a follower, in the server's own term or a later one."""

    term: int
    leader_id: NodeId | None


@dataclass(frozen=True, slots=True)
class StartElection:
    pre_vote: bool
    by_transfer: bool = False


@dataclass(frozen=True, slots=True)
class Lead:
    """The election is won."""


Transition = StepDown | StartElection | Lead
"""What a role asks to become. Roles never replace themselves: the node does, once they have returned."""


class Server:
    def __init__(
        self, node_id: NodeId, settings: RaftSettings, restored: RestoredState, rng: Random, now: float
    ) -> None:
        self.node_id = node_id
        self.settings = settings
        self.rng = rng
        self.now = 0.0
        self.uncut_now = now
        self.term = restored.hard_state.term
        self.voted_for = restored.hard_state.voted_for
        self.leader_id: NodeId | None = None
        self.outbox = Outbox(node_id)
        self.log = RaftLog(restored)
        self.memberships = MembershipLog(restored.snapshot)
        self.commit_index = restored.snapshot.last_index if restored.snapshot else 0
        self.applied_index = self.commit_index
        self.memberships.take(entry for entry in restored.entries if entry.index > self.commit_index)
        self.lost_tail = restored.lost_tail
        """What this server's disk lost of what it had acknowledged; while there is any, it has no say in elections.

        It is over when this server holds, committed and on its disk, the log up to where it once ended, or an entry of
        a later term than any in which it can have acknowledged what is lost. Either way it then holds every
        committed entry that it ever acknowledged: a leader's log has all that was committed before its term (leader
        completeness, §5.4.3), and since this server did not vote meanwhile, each of those leaders was elected by
        others, of which at least one had acknowledged the same. Decision 0015.
        """
        self._leader_contact_at = 0.0  # perhaps just before it stopped: what it promised the leader then still holds
        self.election_deadline = 0.0
        if restored.entries and restored.entries[-1].index < self.commit_index:
            # What a lost end left behind is useless, and must not stay on disk before the entries that follow.
            self.outbox.write_compacted(None, self.commit_index)
        if self.membership.voters != {node_id}:
            # A lone voter has nobody to wait for and campaigns at once.
            self.restart_election_timer()

    def advance_clock(self, shell_now: float) -> None:
        awake_max_s = self.settings.election_timeout_min_s / 2
        self.now += min(max(shell_now - self.uncut_now, 0.0), awake_max_s)
        self.uncut_now = shell_now

    # Membership

    @property
    def membership(self) -> Membership:
        return self.memberships.latest

    @property
    def quorum(self) -> JointConfig[NodeId]:
        return self.memberships.quorum

    @property
    def may_campaign(self) -> bool:
        return self.may_be_needed and not self.disk_is_stalled and self.lost_tail is None

    @property
    def may_be_needed(self) -> bool:
        return self.memberships.may_have_voter(self.node_id, self.commit_index)

    @property
    def disk_is_stalled(self) -> bool:
        return self.outbox.stalled_s(self.now) > self.settings.disk_stall_s

    # Terms and leaders

    def enter_term(self, term: int, voted_for: NodeId | None = None) -> None:
        assert term > self.term, "terms only grow"
        self.term, self.voted_for = term, voted_for
        self.leader_id = None
        self.outbox.write_hard_state(HardState(term, voted_for))

    def vote_for(self, candidate: NodeId) -> None:
        assert self.voted_for in (None, candidate), "one vote a term (§5.2)"
        if self.voted_for is None:
            self.voted_for = candidate
            self.outbox.write_hard_state(HardState(self.term, candidate))

    def hear_leader(self, leader_id: NodeId) -> None:
        self.leader_id = leader_id
        self._leader_contact_at = self.now
        self.restart_election_timer()

    def doubt_leader(self, leader_id: NodeId) -> None:
        """Stop sticking to a leader whose process seems to be gone, and campaign soon unless it is heard again.

        A wrong guess is harmless: this server's pre-vote is refused by all who hear the leader (thesis §9.6). The
        delay is random, so that the first of those who saw the same is elected before the next one asks.
        Where leases are used a wrong guess would not be harmless to them: then the loyalty ends first, as ever.
        """
        if leader_id != self.leader_id or leader_id == self.node_id:
            return
        if not self.settings.lease_reads:
            self._leader_contact_at = -inf
        free_at = max(self.now, self._leader_contact_at + self.settings.election_timeout_min_s)
        soon = free_at + self.rng.uniform(0.0, self.settings.doubted_leader_delay_max_s)
        self.election_deadline = min(self.election_deadline, soon)

    @property
    def hears_leader(self) -> bool:
        """Whether a leader was heard so lately that its followers don't help to depose it (thesis §4.2.3).

        A leader's lease counts on it, so where leases are used nothing but time ends it: neither a later term that was
        heard of meanwhile nor a restart, before which the leader may have been heard.
        """
        return self.now - self._leader_contact_at < self.settings.election_timeout_min_s

    def restart_election_timer(self) -> None:
        settings = self.settings
        timeout_s = self.rng.uniform(settings.election_timeout_min_s, settings.election_timeout_max_s)
        self.election_deadline = self.now + timeout_s

    # The log

    def append(self, entries: Sequence[Entry]) -> None:
        self.log.append(entries)
        self.memberships.take(entries)
        self.outbox.write_entries(entries)

    def truncate(self, from_index: int) -> None:
        assert from_index > self.commit_index, "what is committed stays (§5.4.3)"
        self.log.truncate(from_index)
        self.memberships.truncate(from_index)
        self.outbox.write_truncation(from_index)

    def install(self, snapshot: Snapshot) -> None:
        """Put a received snapshot in place of the whole log."""
        assert snapshot.last_index > self.commit_index, "a snapshot only moves a server forward"
        self.log.reset(snapshot)
        self.memberships.reset(snapshot)
        self.outbox.write_installed(snapshot)
        self.commit_index = snapshot.last_index

    def compact(self, index: int, data: SnapshotData) -> None:
        """Take the state machine's snapshot; one that says nothing new is ignored."""
        assert index <= self.applied_index, "a snapshot holds applied entries only"
        if self.log.snapshot is not None and index <= self.log.snapshot.last_index:
            return
        term = self.log.term_at(index)
        if term is None:
            return
        snapshot = Snapshot(index, term, self.memberships.at(index), data)
        settings = self.settings
        compact_to = self.log.compact(snapshot, settings.compaction_tail_entries, settings.compaction_tail_bytes_max)
        self.memberships.forget_before(index)
        self.outbox.write_compacted(snapshot, compact_to)

    def commit_to(self, index: int) -> bool:
        """Returns whether that is news."""
        if index <= self.commit_index:
            return False
        assert index <= self.log.last_index, "only what is in the log is committed"
        self.commit_index = index
        return True

    def take_persisted(self, sequence: int) -> None:
        for persisted in self.outbox.persisted(sequence):
            self.log.persisted_index = max(self.log.persisted_index, persisted.index)
            if persisted.installed is not None:
                self.applied_index = persisted.installed.last_index
                self.outbox.apply(ApplySnapshot(persisted.installed))

    def apply_committed(self) -> None:
        """Hand over what is committed and on this server's own disk."""
        last = min(self.commit_index, self.log.persisted_index, self.applied_index + self.settings.apply_entries_max)
        if last > self.applied_index:
            self.outbox.apply(ApplyEntries(self.log.slice(self.applied_index + 1, last)))
            self.applied_index = last
        if self.lost_tail is not None:
            self._look_for_lost_tail(self.lost_tail)

    def _look_for_lost_tail(self, lost: LostTail) -> None:
        """What is applied is committed, and on this server's disk."""
        term = self.log.term_at(self.applied_index)
        if self.applied_index < lost.last_index and (term is None or term <= lost.term):
            return
        self.lost_tail = None
        if self.voted_for is None and self.leader_id is not None:
            # It may have voted in this term and forgotten it. For this term's leader is harmless, and the only one.
            self.vote_for(self.leader_id)
