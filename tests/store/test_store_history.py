import pytest
from store_builders import a_put, a_transaction

from swarmlet.store import Change, Compacted, Store
from swarmlet.store.history import CHANGE_OVERHEAD_BYTES, CHANGES_MAX, History


def changes_of(revision: int, count: int, value: bytes = b"") -> list[Change]:
    return [Change(revision, f"k{number}", value, "") for number in range(count)]


def test_changes_after_a_revision_come_in_order() -> None:
    store = Store()
    for index in range(1, 5):
        store.apply(index, a_transaction(a_put(value=bytes([index])), reason=f"step {index}"))

    assert store.changes_since(2) == [
        Change(3, "tasks/a", b"\x03", "step 3"),
        Change(4, "tasks/a", b"\x04", "step 4"),
    ]


def test_a_replica_that_lags_behind_the_revision_asked_for_has_nothing_yet() -> None:
    assert Store().changes_since(7) == []


def test_the_oldest_transactions_are_dropped_whole_beyond_the_number_of_changes_kept() -> None:
    history = History(changes_max=5)
    for revision in (1, 2, 3):
        history.record(changes_of(revision, 2))

    assert history.floor == 1
    assert [change.revision for change in history.since(1)] == [2, 2, 3, 3]


def test_the_oldest_transactions_are_dropped_beyond_the_size_kept() -> None:
    history = History(size_bytes_max=2 * (CHANGE_OVERHEAD_BYTES + 2 + 1_000))
    for revision in (1, 2, 3):
        history.record(changes_of(revision, 1, value=b"x" * 1_000))

    assert history.floor == 1
    assert [change.revision for change in history.since(1)] == [2, 3]


def test_asking_for_what_was_dropped_says_where_the_history_begins() -> None:
    history = History(changes_max=1)
    history.record(changes_of(1, 1))
    history.record(changes_of(2, 1))

    with pytest.raises(Compacted) as refused:
        history.since(0)

    assert (refused.value.revision, refused.value.floor) == (0, 1)


def test_a_store_keeps_a_bounded_number_of_changes() -> None:
    store = Store()
    for index in range(1, CHANGES_MAX + 11):
        store.apply(index, a_transaction(a_put(value=b"")))

    assert len(store.changes_since(10)) == CHANGES_MAX
    with pytest.raises(Compacted):
        store.changes_since(9)
