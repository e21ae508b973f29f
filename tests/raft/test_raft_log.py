from hypothesis import given
from hypothesis import strategies as st
from raft_builders import a_membership, command

from swarmlet.raft import HardState, RestoredState, Snapshot
from swarmlet.raft.log import RaftLog


def a_raft_log(*terms: int, snapshot: Snapshot | None = None, first: int = 1) -> RaftLog:
    entries = tuple(command(index, term) for index, term in enumerate(terms, start=first))
    return RaftLog(RestoredState(HardState(0, None), snapshot, entries))


def a_snapshot(last_index: int, last_term: int = 1) -> Snapshot:
    return Snapshot(last_index, last_term, a_membership(), b"state")


def test_the_position_before_the_first_entry_has_term_0():
    log = a_raft_log(1, 1)

    assert [log.term_at(index) for index in range(4)] == [0, 1, 1, None]


def test_a_tail_before_the_snapshots_end_is_kept_and_its_first_entry_becomes_the_base():
    log = a_raft_log(1, 1, 2, 2, snapshot=a_snapshot(4), first=3)

    assert (log.base_index, log.base_term, log.last_index) == (3, 1, 6)
    assert [entry.index for entry in log.slice(4, 6)] == [4, 5, 6]


def test_a_log_whose_end_was_lost_before_the_snapshots_end_begins_after_it():
    log = a_raft_log(1, 1, snapshot=a_snapshot(9, 3), first=3)

    assert (log.base_index, log.base_term, log.last_index) == (9, 3, 9)


def test_a_batch_has_at_least_one_entry_and_no_more_bytes_than_allowed():
    log = a_raft_log(1, 1, 1, 1)

    assert len(log.batch(1, bytes_max=1, entries_max=9)[0]) == 1
    assert len(log.batch(1, bytes_max=100, entries_max=9)[0]) == 2
    assert len(log.batch(2, bytes_max=10_000, entries_max=2)[0]) == 2
    assert log.batch(5, bytes_max=10_000, entries_max=9) == ((), 0)


def test_compaction_keeps_a_tail_bounded_in_entries_and_in_bytes():
    by_entries, by_bytes = a_raft_log(*[1] * 20), a_raft_log(*[1] * 20)

    assert by_entries.compact(a_snapshot(15), tail_entries=5, tail_bytes_max=10_000) == 10
    assert by_bytes.compact(a_snapshot(15), tail_entries=5, tail_bytes_max=100) == 13

    assert by_entries.last_index == by_bytes.last_index == 20
    assert by_entries.slice(11, 11) == (command(11, 1),)


def test_compaction_of_less_than_the_tail_drops_nothing():
    log = a_raft_log(1, 1, 1)

    assert log.compact(a_snapshot(3), tail_entries=5, tail_bytes_max=10_000) is None
    assert log.slice(1, 3)[0].index == 1


@given(st.lists(st.integers(1, 5)).map(sorted), st.integers(0, 12), st.integers(0, 6))
def test_the_last_position_with_a_term_at_most_is_found_without_looking_at_all(terms, index, term):
    log = a_raft_log(*terms)

    every = [0, *terms]
    positions = [at for at in range(min(index, len(terms)) + 1) if every[at] <= term]
    assert log.last_with_term_at_most(index, term) == positions[-1]
