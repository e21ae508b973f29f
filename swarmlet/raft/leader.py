"""A server that leads.

Rules:
- Its term opens with an entry that says nothing: committing that commits everything before it, and until then it
  changes no membership and answers no read (§8; Ongaro 2015, the correction to single-server changes).
- An entry of its own term is committed when a quorum has it on disk, its own disk counting like any other; entries
  of earlier terms only through one of its own (§5.4.2).
- A joint membership that is committed, by whomever it was begun, is left at once (§6).
- It steps down when no quorum has answered for the shortest election timeout, when its disk has stalled, and when
  the membership without it as a voter is committed.
"""

from collections.abc import Mapping

from swarmlet.model.ids import NodeId
from swarmlet.raft.durable import Entry, EntryKind, Membership, encode_membership
from swarmlet.raft.effects import ProposalAccepted, ProposalRefused, ReadReady, ReadRefused, Refusal, Role
from swarmlet.raft.lease import Lease
from swarmlet.raft.log import size_bytes
from swarmlet.raft.membership import MembershipChange, Promote, changed, joint_left, new_voters
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendRejected,
    ChunkAccepted,
    Heartbeat,
    HeartbeatAnswer,
    Message,
    TimeoutNow,
)
from swarmlet.raft.progress import PeerProgress
from swarmlet.raft.reads import PendingReads
from swarmlet.raft.replication import Replication
from swarmlet.raft.rounds import HeartbeatRounds
from swarmlet.raft.server import Server, StepDown, Transition
from swarmlet.raft.transfer import Handover, best_successor


class Leader:
    role = Role.LEADER

    def __init__(self, server: Server) -> None:
        self._server = server
        server.leader_id = server.node_id
        self._replication = Replication(server)
        self._rounds = HeartbeatRounds(server.node_id, server.now)
        self._reads = PendingReads()
        self._lease = Lease(server.settings)
        self._handover: Handover | None = None
        self._heartbeat_at = server.now
        self._uncommitted_bytes = 0
        self._term_start_index = self._append(EntryKind.NOOP, b"")

    # Events

    def tick(self) -> Transition | None:
        server = self._server
        if self._rounds.unanswered_s(server.quorum, server.now) >= server.settings.election_timeout_min_s:
            return StepDown(server.term, None)
        if server.disk_is_stalled:
            return self.abdicate()
        if self._handover is not None and server.now >= self._handover.deadline:
            self._handover = None
        if server.now >= self._heartbeat_at:
            self._begin_round()
        return None

    def receive(self, sender: NodeId, message: Message) -> Transition | None:
        """Answers of the server's own term. Those of former members say nothing any more."""
        progress = self._replication.get(sender)
        if progress is None:
            return None
        match message:
            case AppendAccepted():
                self._replication.take_accepted(sender, message)
            case AppendRejected():
                self._replication.take_rejected(sender, message)
            case HeartbeatAnswer(round=round_number):
                self._rounds.answered(sender, round_number)
                self._replication.take_heartbeat_answer(sender)
            case ChunkAccepted():
                self._replication.take_chunk_accepted(sender, message)
            case _:
                return None
        progress.active_at = self._server.now
        return None

    def propose(self, request: int, data: bytes) -> None:
        if (reason := self._refusal(data)) is not None:
            self._refuse(request, reason)
            return
        index = self._append(EntryKind.NORMAL, data)
        self._server.outbox.answer(ProposalAccepted(request, index, self._server.term))

    def propose_membership(self, request: int, change: MembershipChange) -> None:
        if (reason := self._change_refusal(change)) is not None:
            self._refuse(request, reason)
            return
        index = self._append_membership(changed(self._server.membership, change))
        self._server.outbox.answer(ProposalAccepted(request, index, self._server.term))

    def read(self, request: int) -> None:
        if len(self._reads) >= self._server.settings.reads_waiting_max:
            self._server.outbox.answer(ReadRefused(request, Refusal.OVERLOADED, self._server.leader_id))
            return
        self._reads.add(request)

    def hand_over(self, target: NodeId | None) -> None:
        server = self._server
        successor = target or best_successor(server, self._replication)
        if successor is None or successor == server.node_id or successor not in server.membership.voters:
            return
        self._lease.give_up()
        self._handover = Handover(successor, server.now + server.settings.election_timeout_max_s)

    def finish(self) -> Transition | None:
        """The end of a step: what is committed by now, which reads may go, and what the others have to be sent."""
        server = self._server
        self._commit()
        self._leave_joint()
        if server.commit_index >= server.memberships.latest_index and not server.membership.is_voter(server.node_id):
            self._replication.send_due()
            return self.abdicate()
        self._answer_reads()
        if self._handover is not None:
            self._handover.advance(server, self._replication)
        self._replication.send_due()
        return None

    def resign(self) -> None:
        """It leads no more: who waits for a read has to ask the next leader."""
        for request in self._reads.take_all():
            self._server.outbox.answer(ReadRefused(request, Refusal.NOT_LEADER, self._server.leader_id))

    def progress(self) -> Mapping[NodeId, PeerProgress]:
        active_since = self._server.now - self._server.settings.election_timeout_max_s
        return {
            node: PeerProgress(progress.match_index, progress.active_at >= active_since)
            for node, progress in self._replication
            if progress.leaving_at is None
        }

    # The log

    def _append(self, kind: EntryKind, data: bytes) -> int:
        server = self._server
        entry = Entry(server.log.last_index + 1, server.term, kind, data)
        server.append((entry,))
        self._uncommitted_bytes += size_bytes(entry)
        self._replication.all_due()
        return entry.index

    def _append_membership(self, membership: Membership) -> int:
        index = self._append(EntryKind.MEMBERSHIP, encode_membership(membership))
        self._replication.follow_membership()
        return index

    def _commit(self) -> None:
        """§5.3, §5.4.2. Entries from `_term_start_index` on, and only they, are of this leader's term."""
        server = self._server
        self._replication.acked[server.node_id] = server.log.persisted_index
        before = server.commit_index
        index = min(server.quorum.committed_index(self._replication.acked), server.log.last_index)
        if index < self._term_start_index or not server.commit_to(index):
            return
        own_first = max(before + 1, self._term_start_index)
        self._uncommitted_bytes -= sum(map(size_bytes, server.log.slice(own_first, index)))
        self._replication.all_due()

    # Proposals

    def _refuse(self, request: int, reason: Refusal) -> None:
        self._server.outbox.answer(ProposalRefused(request, reason, self._server.leader_id))

    def _refusal(self, data: bytes) -> Refusal | None:
        settings = self._server.settings
        if self._handover is not None:
            return Refusal.TRANSFERRING
        if len(data) > settings.entry_bytes_max:
            return Refusal.TOO_LARGE
        if self._uncommitted_bytes > 0 and self._uncommitted_bytes + len(data) > settings.uncommitted_bytes_max:
            return Refusal.OVERLOADED
        return None

    def _change_refusal(self, change: MembershipChange) -> Refusal | None:
        server = self._server
        membership = server.membership
        if self._handover is not None:
            return Refusal.TRANSFERRING
        if server.commit_index < self._term_start_index:
            return Refusal.TERM_TOO_YOUNG
        if membership.is_joint or server.commit_index < server.memberships.latest_index:
            return Refusal.CHANGE_IN_PROGRESS
        if isinstance(change, Promote) and change.node not in membership.members:
            return Refusal.NOT_A_MEMBER
        after = changed(membership, change)
        if after == membership:
            return Refusal.NO_CHANGE
        if not after.voters:
            return Refusal.LAST_VOTER
        added = new_voters(membership, after)
        if not added <= membership.learners:
            return Refusal.NOT_A_MEMBER
        if not all(map(self._has_caught_up, added)):
            return Refusal.LEARNER_BEHIND
        return None

    def _leave_joint(self) -> None:
        """A handover waits for the whole log, so this waits for the handover's end, or for the next leader."""
        server = self._server
        committed = server.commit_index >= max(self._term_start_index, server.memberships.latest_index)
        if server.membership.is_joint and committed and self._handover is None:
            self._append_membership(joint_left(server.membership))

    def _has_caught_up(self, node: NodeId) -> bool:
        server = self._server
        progress = self.progress().get(node)
        lag_max = server.settings.promotion_lag_max
        return (
            progress is not None
            and progress.recently_active
            and 0 < progress.match_index >= server.log.last_index - lag_max
        )

    # Leading

    def _answer_reads(self) -> None:
        server = self._server
        if not len(self._reads):
            return
        if self._lease_holds:
            for request in self._reads.take_all():
                server.outbox.answer(ReadReady(request, server.commit_index))
        while True:
            for ready in self._reads.take_ready(self._rounds.confirmed(server.quorum), server.commit_index):
                server.outbox.answer(ready)
            if not self._reads.wants_round:
                return
            self._begin_round()

    @property
    def _lease_holds(self) -> bool:
        server = self._server
        knows_all = server.commit_index >= self._term_start_index
        return knows_all and self._lease.holds(self._rounds, server.quorum, server.uncut_now)

    def _begin_round(self) -> None:
        server = self._server
        round_number = self._rounds.begin(server.now, server.uncut_now)
        self._reads.join(round_number, max(server.commit_index, self._term_start_index))
        self._heartbeat_at = server.now + server.settings.heartbeat_interval_s
        self._replication.forget_former()
        for node, progress in self._replication:
            commit_index = min(server.commit_index, progress.match_index)
            progress.commit_sent = max(progress.commit_sent, commit_index)
            server.outbox.send(node, Heartbeat(server.term, round_number, commit_index))

    def abdicate(self) -> Transition:
        """Step down, with a word to the best successor so that nobody waits for an election timeout."""
        successor = best_successor(self._server, self._replication)
        if successor is not None:
            self._server.outbox.send(successor, TimeoutNow(self._server.term))
        return StepDown(self._server.term, None)
