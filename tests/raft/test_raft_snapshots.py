"""Snapshots in chunks, when something comes between two of them; and what compaction leaves for the slow."""

from raft_builders import A, B, C, D, Driven, a_follower, a_leader, a_membership, of_kind, sent, the

from swarmlet.raft import ApplySnapshot, Compact, Persist, Propose, RaftSettings, Tick
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    ChunkAccepted,
    HeartbeatAnswer,
    InstallSnapshot,
    StaleTerm,
)

CHUNKS = RaftSettings(compaction_tail_entries=0, snapshot_chunk_bytes=4, snapshot_retry_s=0.5)


def a_sending_leader() -> Driven:
    """Entries up to 3 are in its snapshot of ten bytes alone; its learner d needs them and has been sent the first."""
    leader = a_leader(1, learners="d", settings=CHUNKS)
    for follower in (B, C):
        leader.receive(follower, AppendAccepted(2, 3))
    leader.step(Compact(3, b"0123456789"))
    leader.receive(D, AppendRejected(2, 2, 0, 0))
    return leader


def chunk(offset: int, data: bytes, term: int = 3, done: bool = False) -> InstallSnapshot:
    return InstallSnapshot(term, 9, 2, a_membership("abc"), offset, data, done)


def test_a_lost_chunk_is_sent_again_from_where_it_was_lost():
    leader = a_sending_leader()
    assert sent(leader.receive(D, ChunkAccepted(2, 3, 4)), InstallSnapshot, D)[0].offset == 4

    for _ in range(2):
        leader.now += 0.25
        leader.step(Tick())
        leader.receive(B, HeartbeatAnswer(2, 1))
    again = sent(leader.receive(D, HeartbeatAnswer(2, 1)), InstallSnapshot, D)

    assert [(part.offset, part.data) for part in again] == [(4, b"4567")]


def test_a_follower_that_restarted_in_the_middle_gets_it_from_the_beginning():
    leader = a_sending_leader()
    leader.receive(D, ChunkAccepted(2, 3, 4))
    restarted = Driven(D, settings=CHUNKS)

    (wanted,) = sent(restarted.receive(A, chunk(4, b"4567", term=2)), ChunkAccepted, A)
    assert wanted.next_offset == 0
    (first,) = sent(leader.receive(D, ChunkAccepted(2, 3, 0)), InstallSnapshot, D)

    assert (first.offset, first.data) == (0, b"0123")


def test_an_answer_that_comes_twice_sends_nothing_twice():
    leader = a_sending_leader()
    leader.receive(D, ChunkAccepted(2, 3, 4))

    assert not sent(leader.receive(D, ChunkAccepted(2, 3, 4)), InstallSnapshot)


def test_a_snapshot_of_a_new_leader_is_not_put_together_with_parts_of_the_old_ones():
    """Two servers' snapshots of one index need not be the same bytes."""
    follower = Driven(D, settings=CHUNKS)
    follower.receive(B, chunk(0, b"old "))

    (wanted,) = sent(follower.receive(C, chunk(4, b"part", term=4)), ChunkAccepted, C)
    late = follower.receive(B, chunk(4, b"late"))
    follower.receive(C, chunk(0, b"new ", term=4))
    installed = follower.receive(C, chunk(4, b"part", term=4, done=True))

    assert wanted.next_offset == 0
    assert sent(late, StaleTerm, B) == [StaleTerm(4)]
    assert the(installed, ApplySnapshot).snapshot.data == b"new part"


def test_a_new_leader_sends_its_own_snapshot_to_who_needs_one():
    follower = a_follower(1, settings=RaftSettings(compaction_tail_entries=0))
    follower.receive(B, AppendEntries(1, 2, 1, 2, ()))
    follower.step(Compact(2, b"my own state"))
    follower.elect(B)

    (part,) = sent(follower.receive(C, AppendRejected(2, 2, 0, 0)), InstallSnapshot, C)

    assert (part.last_index, part.data) == (2, b"my own state")


def test_a_snapshot_under_way_is_finished_though_a_newer_one_was_taken():
    leader = a_sending_leader()
    leader.step(Propose(1, b"x"))
    for follower in (B, C):
        leader.receive(follower, AppendAccepted(2, 4))
    leader.step(Compact(4, b"newer"))

    (second,) = sent(leader.receive(D, ChunkAccepted(2, 3, 4)), InstallSnapshot, D)
    assert (second.last_index, second.data) == (3, b"4567")
    leader.receive(D, ChunkAccepted(2, 3, 8))
    (newer,) = sent(leader.receive(D, AppendAccepted(2, 3)), InstallSnapshot, D)

    assert (newer.last_index, newer.offset, newer.data) == (4, 0, b"newe")


def test_a_snapshot_beyond_the_limit_is_not_collected():
    follower = Driven(D, settings=RaftSettings(snapshot_bytes_max=6))
    follower.receive(B, chunk(0, b"0123"))

    (answer,) = sent(follower.receive(B, chunk(4, b"4567", done=True)), ChunkAccepted, B)

    assert answer.next_offset == 4
    assert not of_kind(follower.step(Tick()), ApplySnapshot)


def test_a_follower_within_the_tail_that_compaction_leaves_needs_no_snapshot():
    leader = a_leader(1, settings=RaftSettings(compaction_tail_entries=2))
    leader.receive(B, AppendAccepted(2, 3))
    for number in range(4):
        leader.step(Propose(number, b"x"))
    leader.receive(B, AppendAccepted(2, 7))

    persist = the(leader.step(Compact(7, b"state")), Persist)
    effects = leader.receive(C, AppendAccepted(2, 5))

    assert persist.compact_to == 5
    assert not sent(effects, InstallSnapshot)
    assert [entry.index for entry in sent(effects, AppendEntries, C)[0].entries] == [6, 7]
