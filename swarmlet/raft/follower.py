"""A server that follows: takes the leader's entries, and watches whether there is a leader at all.

Rules (§5.3):
- Entries are taken only where the log agrees with the leader's at the position before them; a conflicting tail is
  cut off first, and nothing committed ever is.
- An acknowledgement leaves when the entries are on disk. A rejection leaves at once and says how far back the logs
  can still agree at most, so that the leader finds the place in as few steps as there are conflicting terms.
- A server that may not campaign (a learner, one without a membership, one whose disk has stalled) follows whoever
  leads and never disturbs anybody.
"""

from swarmlet.model.ids import NodeId
from swarmlet.raft.effects import Role
from swarmlet.raft.installing import SnapshotAssembly
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    ChunkAccepted,
    CommitAdvanced,
    Heartbeat,
    HeartbeatAnswer,
    InstallSnapshot,
    Message,
    TimeoutNow,
)
from swarmlet.raft.server import Server, StartElection, Transition


class Follower:
    role = Role.FOLLOWER

    def __init__(self, server: Server, leader_id: NodeId | None) -> None:
        self._server = server
        self._assembly: SnapshotAssembly | None = None
        if leader_id is None:
            server.leader_id = None
        else:
            server.hear_leader(leader_id)

    def tick(self) -> Transition | None:
        server = self._server
        if server.now < server.election_deadline:
            return None
        if server.may_campaign:
            return StartElection(pre_vote=True)
        server.leader_id = None
        server.restart_election_timer()
        return None

    def receive(self, sender: NodeId, message: Message) -> Transition | None:
        """Messages of the server's own term."""
        server = self._server
        match message:
            case AppendEntries():
                server.hear_leader(sender)
                self._append(sender, message)
            case Heartbeat(term, round_number, commit_index):
                server.hear_leader(sender)
                self._commit(commit_index)
                server.outbox.send(sender, HeartbeatAnswer(term, round_number))
            case CommitAdvanced(commit_index=commit_index):
                server.hear_leader(sender)
                self._commit(commit_index)
            case InstallSnapshot():
                server.hear_leader(sender)
                self._take_chunk(sender, message)
            case TimeoutNow() if server.may_campaign:
                return StartElection(pre_vote=False, by_transfer=True)
        return None

    def finish(self) -> Transition | None:
        return None

    def _append(self, leader: NodeId, append: AppendEntries) -> None:
        server, log = self._server, self._server.log
        # Up to the commit index both logs are known to agree, and this one may be compacted.
        known = max(0, server.commit_index - append.prev_index)
        entries = append.entries[known:]
        prev_index = append.prev_index + min(known, len(append.entries))
        if known == 0 and log.term_at(prev_index) != append.prev_term:
            self._reject(leader, append)
            return
        for position, entry in enumerate(entries):
            if log.term_at(entry.index) != entry.term:
                if entry.index <= log.last_index:
                    server.truncate(entry.index)
                server.append(entries[position:])
                break
        agreed = max(prev_index + len(entries), server.commit_index)
        self._commit(min(append.commit_index, agreed))
        server.outbox.send_when_persisted(leader, AppendAccepted(server.term, agreed))

    def _reject(self, leader: NodeId, append: AppendEntries) -> None:
        log = self._server.log
        hint_index = log.last_with_term_at_most(append.prev_index, append.prev_term)
        if hint_index is None:
            hint_index = self._server.commit_index  # which every leader's log has
        hint_term = log.term_at(hint_index)
        assert hint_term is not None, "the hint is a position of this log"
        self._server.outbox.send(leader, AppendRejected(self._server.term, append.prev_index, hint_index, hint_term))

    def _commit(self, index: int) -> None:
        self._server.commit_to(min(index, self._server.log.last_index))

    def _take_chunk(self, leader: NodeId, chunk: InstallSnapshot) -> None:
        server = self._server
        if chunk.last_index <= server.commit_index:
            self._assembly = None
            server.outbox.send_when_persisted(leader, AppendAccepted(server.term, server.commit_index))
            return
        if server.log.term_at(chunk.last_index) == chunk.last_term:
            # The log has it all, so what the snapshot would bring is there already (§7).
            self._assembly = None
            server.commit_to(chunk.last_index)
            server.outbox.send_when_persisted(leader, AppendAccepted(server.term, chunk.last_index))
            return
        if self._assembly is None or not self._assembly.belongs(leader, chunk):
            self._assembly = SnapshotAssembly(leader, chunk, server.settings.snapshot_bytes_max)
        snapshot = self._assembly.take(chunk)
        if snapshot is None:
            server.outbox.send(leader, ChunkAccepted(server.term, chunk.last_index, self._assembly.next_offset))
            return
        self._assembly = None
        server.install(snapshot)
        server.outbox.send_when_persisted(leader, AppendAccepted(server.term, snapshot.last_index))
