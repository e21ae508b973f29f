"""How a leader brings its log to the others, each at its own pace.

Rules:
- Nobody waits for anybody: every follower has its own position, window and state (`progress`).
- Appends are sent at the end of a step, so all that one step brings goes out together.
- A heartbeat's answer from a follower that is behind starts it again: whatever was lost is found and sent again.
- A follower that turns out to have less than it acknowledged (its disk lost the end of its log) is believed.
"""

from collections.abc import Iterator

from swarmlet.model.ids import NodeId
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    ChunkAccepted,
    CommitAdvanced,
    InstallSnapshot,
)
from swarmlet.raft.progress import Progress, Sending, SnapshotTransfer
from swarmlet.raft.server import Server


class Replication:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._followers: dict[NodeId, Progress] = {}
        self._due: set[NodeId] = set()
        """Followers that something may have to be sent to at the end of this step."""
        self.acked: dict[NodeId, int] = {}
        """What each member has on its disk, for the quorum's arithmetic. Without those who have nothing."""
        self.follow_membership()

    def __iter__(self) -> Iterator[tuple[NodeId, Progress]]:
        return iter(self._followers.items())

    def get(self, node: NodeId) -> Progress | None:
        return self._followers.get(node)

    def follow_membership(self) -> None:
        """Begin with new members; former ones go on for a while, so that they learn what has become of them."""
        server = self._server
        members = server.membership.members - {server.node_id}
        for new in sorted(members - self._followers.keys()):
            self._followers[new] = Progress(next_index=server.log.last_index + 1, active_at=server.now)
            self._due.add(new)
        for node, progress in self._followers.items():
            if node in members:
                progress.leaving_at = None
            elif progress.leaving_at is None:
                progress.leaving_at = server.now + server.settings.farewell_s

    def forget_former(self) -> None:
        """Stop with former members whose time is over, or who have been told that their removal is committed."""
        removed_at, now = self._server.memberships.latest_index, self._server.now
        for node, progress in list(self._followers.items()):
            if progress.leaving_at is not None and (now >= progress.leaving_at or progress.commit_sent >= removed_at):
                del self._followers[node]
                self.acked.pop(node, None)
                self._due.discard(node)

    def all_due(self) -> None:
        self._due.update(self._followers)

    # Answers

    def take_accepted(self, node: NodeId, answer: AppendAccepted) -> None:
        progress = self._followers[node]
        if progress.accepted(min(answer.match_index, self._server.log.last_index)):
            self.acked[node] = progress.match_index
        self._due.add(node)

    def take_rejected(self, node: NodeId, answer: AppendRejected) -> None:
        progress, log = self._followers[node], self._server.log
        self._due.add(node)
        if progress.sending is Sending.REPLICATE and answer.prev_index > progress.match_index:
            progress.probe_from(progress.match_index + 1)
        elif progress.sending is Sending.PROBE and answer.prev_index == progress.next_index - 1:
            hint = log.last_with_term_at_most(answer.hint_index, answer.hint_term)
            agreed_at_most = min(answer.prev_index - 1, log.base_index - 1 if hint is None else hint)
            if answer.prev_index == progress.match_index:
                progress.match_index = self.acked[node] = max(agreed_at_most, 0)
            progress.probe_from(max(progress.match_index, agreed_at_most) + 1)

    def take_heartbeat_answer(self, node: NodeId) -> None:
        progress = self._followers[node]
        if progress.sending is Sending.SNAPSHOT:
            self._retry_chunk(node, progress)
            return
        progress.waiting = False
        self._due.add(node)
        if progress.match_index < self._server.log.last_index and self._nothing_fits(progress):
            self._ask_whether_all_arrived(node, progress)

    def take_chunk_accepted(self, node: NodeId, answer: ChunkAccepted) -> None:
        transfer = self._followers[node].transfer
        if transfer is None or transfer.snapshot.last_index != answer.last_index:
            return
        if answer.next_offset != transfer.offset and answer.next_offset <= len(transfer.snapshot.data):
            transfer.offset = answer.next_offset
            self._send_chunk(node, transfer)

    # Sending

    def send_due(self) -> None:
        for node in sorted(self._due):
            self._send_what_is_new(node, self._followers[node])
        self._due.clear()

    def _send_what_is_new(self, node: NodeId, progress: Progress) -> None:
        server = self._server
        while progress.next_index <= server.log.last_index and progress.has_room(server.settings):
            if not self._send_append(node, progress):
                self._begin_snapshot(node, progress)
        if progress.sending is Sending.PROBE and not progress.waiting and progress.match_index == 0:
            # Nothing to send yet, but where the logs agree has to be found out all the same.
            self._ask_whether_all_arrived(node, progress)
        self._tell_commit(node, progress)

    def _send_append(self, node: NodeId, progress: Progress) -> bool:
        """False where the log does not reach back far enough."""
        server, log = self._server, self._server.log
        prev_index = progress.next_index - 1
        prev_term = log.term_at(prev_index)
        if prev_term is None:
            return False
        entries, size = log.batch(
            progress.next_index, server.settings.append_bytes_max, server.settings.append_entries_max
        )
        server.outbox.send(node, AppendEntries(server.term, prev_index, prev_term, server.commit_index, entries))
        last_index = prev_index + len(entries)
        progress.commit_sent = max(progress.commit_sent, min(server.commit_index, last_index))
        progress.sent(last_index, size)
        return True

    def _nothing_fits(self, progress: Progress) -> bool:
        return progress.next_index > self._server.log.last_index or not progress.has_room(self._server.settings)

    def _ask_whether_all_arrived(self, node: NodeId, progress: Progress) -> None:
        """An append without entries at the end of what was sent: rejected if any of it was lost."""
        server = self._server
        prev_index = progress.next_index - 1
        prev_term = server.log.term_at(prev_index)
        if prev_term is None:
            self._begin_snapshot(node, progress)
            return
        server.outbox.send(node, AppendEntries(server.term, prev_index, prev_term, server.commit_index, ()))
        progress.waiting = progress.sending is Sending.PROBE

    def _tell_commit(self, node: NodeId, progress: Progress) -> None:
        server = self._server
        commit_index = min(server.commit_index, progress.match_index)
        if commit_index > progress.commit_sent:
            progress.commit_sent = commit_index
            server.outbox.send(node, CommitAdvanced(server.term, commit_index))

    # Snapshots

    def _begin_snapshot(self, node: NodeId, progress: Progress) -> None:
        snapshot = self._server.log.snapshot
        assert snapshot is not None, "a log that has lost its beginning has a snapshot"
        progress.begin_snapshot(snapshot, self._server.now)
        assert progress.transfer is not None
        self._send_chunk(node, progress.transfer)

    def _retry_chunk(self, node: NodeId, progress: Progress) -> None:
        transfer = progress.transfer
        assert transfer is not None, "a snapshot is under way"
        if self._server.now - transfer.sent_at >= self._server.settings.snapshot_retry_s:
            self._send_chunk(node, transfer)

    def _send_chunk(self, node: NodeId, transfer: SnapshotTransfer) -> None:
        server, snapshot = self._server, transfer.snapshot
        end = transfer.offset + server.settings.snapshot_chunk_bytes
        transfer.sent_at = server.now
        chunk = InstallSnapshot(
            server.term,
            snapshot.last_index,
            snapshot.last_term,
            snapshot.membership,
            transfer.offset,
            snapshot.data[transfer.offset : end],
            done=end >= len(snapshot.data),
        )
        server.outbox.send(node, chunk)
