"""Pipelining and its limits, loss, snapshots in chunks, compaction."""

from raft_builders import A, B, C, Driven, a_follower, a_leader, a_log, a_membership, command, of_kind, sent, the

from swarmlet.raft import (
    ApplyEntries,
    ApplySnapshot,
    Compact,
    Persist,
    ProposalAccepted,
    ProposalRefused,
    Propose,
    RaftSettings,
    Refusal,
    Role,
    Snapshot,
    Tick,
)
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    ChunkAccepted,
    CommitAdvanced,
    Heartbeat,
    HeartbeatAnswer,
    InstallSnapshot,
)


def a_replicating_leader(settings: RaftSettings | None = None, learners: str = "") -> Driven:
    """Followers b and c have its log up to index 3, which is committed."""
    leader = a_leader(1, settings=settings, learners=learners)
    for follower in (B, C):
        leader.receive(follower, AppendAccepted(2, 3))
    return leader


def indices(appends: list[AppendEntries]) -> list[list[int]]:
    return [[entry.index for entry in append.entries] for append in appends]


def test_appends_follow_each_other_without_waiting_for_answers():
    leader = a_replicating_leader()

    sent_to_b = [sent(leader.step(Propose(n, b"x")), AppendEntries, B) for n in range(3)]

    assert [indices(appends) for appends in sent_to_b] == [[[4]], [[5]], [[6]]]


def test_beyond_the_window_entries_gather_into_larger_appends():
    leader = a_replicating_leader(RaftSettings(inflight_appends_max=2))
    for n in range(6):
        leader.step(Propose(n, b"x"))

    effects = leader.receive(B, AppendAccepted(2, 4))

    assert indices(sent(effects, AppendEntries, B)) == [[6, 7, 8, 9]]


def test_an_append_is_bounded_in_bytes():
    leader = a_replicating_leader(RaftSettings(append_bytes_max=2_000, inflight_appends_max=1))
    for n in range(6):
        leader.step(Propose(n, bytes(900)))

    effects = leader.receive(B, AppendAccepted(2, 4))

    assert indices(sent(effects, AppendEntries, B)) == [[5, 6]]


def test_proposals_of_one_step_are_written_and_sent_together():
    leader = a_replicating_leader()

    effects = leader.step_all(Propose(1, b"x"), Propose(2, b"y"))

    assert len(of_kind(effects, Persist)) == 1
    assert indices(sent(effects, AppendEntries, B)) == [[4, 5]]
    assert [accepted.index for accepted in of_kind(effects, ProposalAccepted)] == [4, 5]


def test_an_idle_follower_learns_of_a_commit_at_once():
    leader = a_replicating_leader()
    leader.step(Propose(1, b"x"))

    effects = leader.receive(B, AppendAccepted(2, 4))

    assert sent(effects, CommitAdvanced, B) == [CommitAdvanced(2, 4)]
    assert not sent(effects, CommitAdvanced, C)


def test_a_lost_append_is_found_and_sent_again():
    leader = a_replicating_leader()
    for n in range(3):
        leader.step(Propose(n, b"x"))

    (asked,) = sent(leader.receive(B, HeartbeatAnswer(2, 1)), AppendEntries, B)
    assert (asked.prev_index, asked.entries) == (6, ())
    retried = leader.receive(B, AppendRejected(2, 6, 3, 2))

    assert indices(sent(retried, AppendEntries, B)) == [[4, 5, 6]]


def test_late_rejections_of_the_same_loss_change_nothing():
    leader = a_replicating_leader()
    for n in range(3):
        leader.step(Propose(n, b"x"))
    leader.receive(B, AppendRejected(2, 4, 3, 2))

    effects = leader.receive(B, AppendRejected(2, 5, 3, 2))

    assert not sent(effects, AppendEntries, B)


def test_a_follower_that_lost_the_end_of_its_log_is_believed():
    leader = a_replicating_leader()

    leader.step(Propose(1, b"x"))
    leader.receive(B, AppendRejected(2, 3, 2, 1))
    leader.receive(B, HeartbeatAnswer(2, 1))
    leader.receive(B, AppendRejected(2, 4, 2, 1))
    effects = leader.receive(B, AppendRejected(2, 3, 2, 1))

    assert indices(sent(effects, AppendEntries, B)) == [[3, 4]]
    assert leader.raft.progress()[B].match_index == 2


def test_too_much_uncommitted_is_refused_until_it_is_committed():
    leader = a_replicating_leader(RaftSettings(uncommitted_bytes_max=1_000))

    assert the(leader.step(Propose(1, bytes(900))), ProposalAccepted)
    assert the(leader.step(Propose(2, bytes(900))), ProposalRefused).reason is Refusal.OVERLOADED

    leader.receive(B, AppendAccepted(2, 4))
    assert the(leader.step(Propose(3, bytes(900))), ProposalAccepted)


def test_a_command_larger_than_an_entry_may_be_is_refused():
    leader = a_replicating_leader(RaftSettings(entry_bytes_max=10))

    assert the(leader.step(Propose(1, bytes(11))), ProposalRefused).reason is Refusal.TOO_LARGE


def test_few_entries_are_applied_in_one_step_and_the_next_goes_on():
    follower = a_follower(*[1] * 9, settings=RaftSettings(apply_entries_max=4))

    first = follower.receive(B, Heartbeat(1, 1, 10))
    second = follower.step(Tick())

    assert [entry.index for entry in the(first, ApplyEntries).entries] == [1, 2, 3, 4]
    assert [entry.index for entry in the(second, ApplyEntries).entries] == [5, 6, 7, 8]


# Compaction and snapshots (§7)


def a_compacted_leader(data: bytes = b"0123456789") -> Driven:
    """Entries up to 3 are in its snapshot and gone from its log; chunks are of four bytes."""
    settings = RaftSettings(compaction_tail_entries=0, snapshot_chunk_bytes=4, snapshot_retry_s=0.5)
    leader = a_replicating_leader(settings, learners="d")
    leader.step(Compact(3, data))
    return leader


def test_compaction_writes_the_snapshot_and_drops_what_lies_before_the_tail():
    leader = a_replicating_leader(RaftSettings(compaction_tail_entries=1))

    persist = the(leader.step(Compact(3, b"state")), Persist)

    assert persist.snapshot == Snapshot(3, 2, a_membership("abc"), b"state")
    assert persist.compact_to == 2


def test_a_snapshot_that_says_nothing_new_is_ignored():
    leader = a_compacted_leader()

    assert leader.step(Compact(3, b"again")) == []


def test_a_follower_too_far_behind_gets_the_snapshot_chunk_by_chunk_and_then_the_log():
    leader = a_compacted_leader()
    d = "d"

    (first,) = sent(leader.receive(d, AppendRejected(2, 2, 0, 0)), InstallSnapshot, d)
    (second,) = sent(leader.receive(d, ChunkAccepted(2, 3, 4)), InstallSnapshot, d)
    (third,) = sent(leader.receive(d, ChunkAccepted(2, 3, 8)), InstallSnapshot, d)
    leader.step(Propose(1, b"x"))
    after = leader.receive(d, AppendAccepted(2, 3))

    assert [chunk.data for chunk in (first, second, third)] == [b"0123", b"4567", b"89"]
    assert [chunk.done for chunk in (first, second, third)] == [False, False, True]
    assert indices(sent(after, AppendEntries, d)) == [[4]]


def test_a_lost_chunk_is_sent_again_to_a_follower_that_answers():
    leader = a_compacted_leader()
    leader.receive("d", AppendRejected(2, 2, 0, 0))

    assert not sent(leader.receive("d", HeartbeatAnswer(2, 1)), InstallSnapshot)
    leader.now += 0.25
    leader.step(Tick())
    leader.receive(B, HeartbeatAnswer(2, 1))
    leader.now += 0.25
    leader.step(Tick())

    assert sent(leader.receive("d", HeartbeatAnswer(2, 1)), InstallSnapshot)[0].offset == 0
    assert leader.raft.role is Role.LEADER


def chunk(offset: int, data: bytes, done: bool, last_index: int = 9) -> InstallSnapshot:
    return InstallSnapshot(3, last_index, 2, a_membership("abc"), offset, data, done)


def test_a_follower_installs_a_snapshot_when_its_last_chunk_is_there_and_on_disk():
    follower = Driven(A)
    follower.disk_waits = True

    first = follower.receive(B, chunk(0, b"sta", done=False))
    last = follower.receive(B, chunk(3, b"te", done=True))
    assert sent(first, ChunkAccepted) == [ChunkAccepted(3, 9, 3)]
    assert not sent(last, AppendAccepted) and not of_kind(last, ApplySnapshot)
    synced = follower.sync()

    snapshot = Snapshot(9, 2, a_membership("abc"), b"state")
    assert the(last, Persist).snapshot == snapshot and the(last, Persist).truncate_from == 0
    assert the(synced, ApplySnapshot).snapshot == snapshot
    assert sent(synced, AppendAccepted) == [AppendAccepted(3, 9)]
    assert follower.raft.membership == a_membership("abc")


def test_chunks_out_of_turn_are_answered_with_what_is_wanted():
    follower = Driven(A)
    follower.receive(B, chunk(0, b"sta", done=False))

    repeated = follower.receive(B, chunk(0, b"sta", done=False))
    early = follower.receive(B, chunk(7, b"x", done=True))

    assert sent(repeated, ChunkAccepted) == sent(early, ChunkAccepted) == [ChunkAccepted(3, 9, 3)]


def test_a_snapshot_of_what_the_log_has_already_only_commits_it():
    follower = a_follower(2, 2)

    effects = follower.receive(B, chunk(0, b"state", done=True, last_index=3))

    assert follower.raft.commit_index == 3 and follower.raft.last_index == 3
    assert not of_kind(effects, ApplySnapshot)
    assert sent(effects, AppendAccepted) == [AppendAccepted(3, 3)]


def test_entries_may_follow_a_snapshot_that_is_not_on_disk_yet():
    follower = Driven(A)
    follower.disk_waits = True
    follower.receive(B, chunk(0, b"state", done=True))

    follower.receive(B, AppendEntries(3, 9, 2, 10, (command(10, 3),)))
    synced = follower.sync()

    kinds = [type(effect) for effect in synced if isinstance(effect, ApplySnapshot | ApplyEntries)]
    assert kinds == [ApplySnapshot, ApplyEntries]
    assert the(synced, ApplyEntries).entries == (command(10, 3),)


def test_a_restart_goes_on_after_the_snapshot():
    log = (*a_log(1, 1), command(4, 1))
    restarted = Driven(A, log[1:], snapshot=Snapshot(3, 1, a_membership("abc"), b"state"))

    effects = restarted.receive(B, Heartbeat(1, 1, 4))

    assert [entry.index for entry in the(effects, ApplyEntries).entries] == [4]
    assert restarted.raft.membership == a_membership("abc")


def test_what_a_lost_end_left_before_the_snapshots_end_is_deleted():
    restarted = Driven(A, a_log(1, 1)[1:], snapshot=Snapshot(9, 1, a_membership("abc"), b"state"))

    effects = restarted.step(Tick())

    assert the(effects, Persist).compact_to == 9
    assert restarted.raft.last_index == 9
