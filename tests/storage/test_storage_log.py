import queue
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from storage_builders import (
    DEADLINE_S,
    a_persist,
    a_snapshot,
    an_entry,
    as_after_a_crash,
    entries,
    loaded,
    write_and_wait,
    written,
)

from swarmlet.model.ids import NodeId
from swarmlet.model.pieces import Pieces
from swarmlet.raft import HardState, Persist, RestoredState
from swarmlet.storage import RaftStorage, StorageFull, StorageInUse, StorageOverloaded, new_lineage
from swarmlet.storage.log_database import LogDatabase

VOTE = HardState(3, NodeId("a"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "raft.db"


def test_a_new_storage_is_empty(path: Path) -> None:
    restored = loaded(path)

    assert restored.entries == ()
    assert restored.snapshot is None
    assert restored.hard_state == HardState(0, None)


def test_what_was_written_is_loaded_again(path: Path) -> None:
    written(path, a_persist(1, entries(1, 3), VOTE), a_persist(2, entries(4, 4)))

    assert loaded(path) == RestoredState(VOTE, None, entries(1, 4))


def test_the_files_are_for_their_owner_only(path: Path) -> None:
    written(path, a_persist(1, entries(1, 1)))

    assert path.stat().st_mode & 0o077 == 0


def test_a_reported_write_survives_a_crash(path: Path, tmp_path: Path) -> None:
    with RaftStorage.open(path) as storage:
        write_and_wait(storage, a_persist(1, entries(1, 2), VOTE))
        copy = as_after_a_crash(path, tmp_path / "copy")

    assert loaded(copy) == RestoredState(VOTE, None, entries(1, 2))


def test_a_conflicting_tail_is_replaced(path: Path) -> None:
    written(path, a_persist(1, entries(1, 5)), a_persist(2, entries(3, 4, term=2), truncate_from=3))

    assert loaded(path).entries == entries(1, 2) + entries(3, 4, term=2)


def test_a_snapshot_replaces_the_log_up_to_where_it_is_compacted(path: Path) -> None:
    written(path, a_persist(1, entries(1, 8)), a_persist(2, snapshot=a_snapshot(5), compact_to=5))

    restored = loaded(path)

    assert restored.snapshot == a_snapshot(5)
    assert restored.entries == entries(6, 8)


def test_a_large_snapshot_is_kept_in_pieces(path: Path) -> None:
    data = Pieces([bytes([number]) * 100_000 for number in range(10)])
    written(path, a_persist(1, snapshot=a_snapshot(5)), a_persist(2, snapshot=replace(a_snapshot(9), data=data)))

    found = loaded(path).snapshot

    assert found is not None and found.data == data
    assert isinstance(found.data, Pieces), "it was read without being joined"


def stage_and_wait(storage: RaftStorage, last_index: int, position: int, *pieces: bytes) -> None:
    done: queue.Queue[BaseException | None] = queue.Queue()
    storage.stage(last_index, position, pieces, done.put)
    assert done.get(timeout=DEADLINE_S) is None


def test_a_snapshot_that_was_staged_counts_once_it_is_written(path: Path) -> None:
    pieces = [bytes([number]) * 300_000 for number in range(3)]
    snapshot = replace(a_snapshot(9), data=Pieces(pieces))
    with RaftStorage.open(path) as storage:
        write_and_wait(storage, a_persist(1, snapshot=a_snapshot(5)))
        stage_and_wait(storage, 9, 0, *pieces[:2])
        stage_and_wait(storage, 9, 2, pieces[2])
        assert storage.load().snapshot == a_snapshot(5)

        write_and_wait(storage, a_persist(2, snapshot=snapshot))

    assert loaded(path).snapshot == snapshot


@pytest.mark.parametrize("staged", [(0, 1), (1, 2), (0, 1, 2, 3)], ids=["too few", "without the first", "too many"])
def test_a_snapshot_that_was_staged_in_part_or_otherwise_is_written_whole(path: Path, staged: tuple[int, ...]) -> None:
    pieces = [bytes([number]) * 300_000 for number in range(3)]
    snapshot = replace(a_snapshot(9), data=Pieces(pieces))
    with RaftStorage.open(path) as storage:
        for number in staged:
            stage_and_wait(storage, 9, number, b"x" * 300_000)

        write_and_wait(storage, a_persist(1, snapshot=snapshot))

    assert loaded(path).snapshot == snapshot


def test_what_earlier_snapshots_left_is_dropped_in_time(path: Path) -> None:
    with RaftStorage.open(path) as storage:
        for index in range(5, 50, 5):
            write_and_wait(storage, a_persist(index, snapshot=a_snapshot(index, b"x" * 600_000)))
        deadline = time.monotonic() + DEADLINE_S
        while storage._database.has_unused and time.monotonic() < deadline:
            write_and_wait(storage, a_persist(99))
        (count,) = storage._database._connection.execute("SELECT count(*) FROM snapshot_piece").fetchone()

    assert count == 3


def test_a_later_snapshot_takes_the_place_of_an_earlier_one(path: Path) -> None:
    written(path, a_persist(1, snapshot=a_snapshot(5)), a_persist(2, snapshot=a_snapshot(9, b"newer")))

    assert loaded(path).snapshot == a_snapshot(9, b"newer")


def test_the_first_state_of_a_node_is_written_once(path: Path) -> None:
    first = RestoredState(HardState(1, None), a_snapshot(0), ())
    with RaftStorage.open(path) as storage:
        storage.initialize(first, new_lineage())
        with pytest.raises(AssertionError):
            storage.initialize(first, new_lineage())

    assert loaded(path) == first


def test_writes_are_reported_in_order_and_close_waits_for_all_of_them(path: Path) -> None:
    reported: list[int] = []
    storage = RaftStorage.open(path)
    for sequence in range(1, 200):
        storage.write(a_persist(sequence, [an_entry(sequence)]), lambda done, _error: reported.append(done))

    storage.close()

    assert reported == list(range(1, 200))
    assert len(loaded(path).entries) == 199


class SlowDisk(LogDatabase):
    """Holds its first transaction until it is told to go on, and counts how many there were."""

    def __init__(self, path: Path) -> None:
        opened = LogDatabase.open(path)
        super().__init__(path, opened._connection, opened._mark)
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.transactions = 0

    def write(self, batch: Iterable[Persist]) -> None:
        self.transactions += 1
        self.entered.set()
        assert self.go_on.wait(DEADLINE_S)
        super().write(batch)


def hold_first_write(disk: SlowDisk, storage: RaftStorage, report: list[tuple[int, BaseException | None]]) -> None:
    storage.write(a_persist(1, [an_entry(1)]), lambda *done: report.append(done))
    assert disk.entered.wait(DEADLINE_S)


def test_what_queues_up_during_a_sync_goes_into_one_transaction(path: Path) -> None:
    disk, reported = SlowDisk(path), list[tuple[int, BaseException | None]]()
    storage = RaftStorage(path, disk)
    hold_first_write(disk, storage, reported)

    for sequence in range(2, 102):
        storage.write(a_persist(sequence, [an_entry(sequence)]), lambda *done: reported.append(done))
    disk.go_on.set()
    storage.close()

    assert disk.transactions == 2
    assert reported == [(sequence, None) for sequence in range(1, 102)]


def test_a_queue_that_reaches_its_limit_fails_the_storage(path: Path) -> None:
    disk, reported = SlowDisk(path), list[tuple[int, BaseException | None]]()
    storage = RaftStorage(path, disk, queue_max=3)
    hold_first_write(disk, storage, reported)

    for sequence in range(2, 7):
        storage.write(a_persist(sequence, [an_entry(sequence)]), lambda *done: reported.append(done))
    disk.go_on.set()
    storage.close()

    assert reported[0] == (1, None)
    assert [sequence for sequence, _ in reported] == [1, 2, 3, 4, 5, 6]
    assert all(isinstance(error, StorageOverloaded) for _, error in reported[1:])
    assert loaded(path).entries == (an_entry(1),)


def big(sequence: int) -> Persist:
    return a_persist(sequence, [an_entry(sequence, data=b"x" * 100_000)])


def test_a_full_disk_is_reported_and_fails_all_later_writes_until_it_is_opened_anew(path: Path) -> None:
    with RaftStorage.open(path, size_bytes_max=400_000) as storage:
        for sequence in range(1, 10):
            ((_, error),) = write_and_wait(storage, big(sequence))
            if error is not None:
                break
        ((_, later),) = write_and_wait(storage, a_persist(99, [an_entry(sequence, data=b"small")]))

    assert isinstance(error, StorageFull)
    assert str(path) in str(error)
    assert later is error is storage.failure
    kept = loaded(path).entries
    assert [entry.index for entry in kept] == list(range(1, sequence))
    written(path, a_persist(1, [an_entry(sequence)]))


def test_a_write_that_breaks_the_log_is_reported_like_any_failure_and_leaves_nothing(path: Path) -> None:
    with RaftStorage.open(path) as storage:
        reported = write_and_wait(storage, a_persist(1, entries(1, 2)))
        reported += write_and_wait(storage, a_persist(2, entries(3, 4)), a_persist(3, entries(4, 5)))

    assert reported[0] == (1, None)
    assert reported[2][1] is not None
    assert loaded(path).entries[:2] == entries(1, 2)


def test_a_listener_that_fails_does_not_stop_the_reports(path: Path) -> None:
    def broken(sequence: int, error: BaseException | None) -> None:
        raise RuntimeError("the event loop is closed")

    with RaftStorage.open(path) as storage:
        storage.write(a_persist(1, entries(1, 1)), broken)

        assert write_and_wait(storage, a_persist(2, entries(2, 2))) == [(2, None)]


def test_a_second_process_is_refused(path: Path) -> None:
    with RaftStorage.open(path) as storage:
        write_and_wait(storage, a_persist(1, entries(1, 1)))

        with pytest.raises(StorageInUse, match="open in another process"):
            RaftStorage.open(path)


def test_a_long_log_is_compacted_in_parts_and_is_whole_between_them(path: Path, tmp_path: Path) -> None:
    database = LogDatabase.open(path)
    database.write([a_persist(1, entries(1, 1_200))])

    database.write([a_persist(2, snapshot=a_snapshot(1_100), compact_to=1_000)])
    assert database.has_unused
    between = loaded(as_after_a_crash(path, tmp_path / "copy"))
    while database.has_unused:
        database.drop_unused()
    database.close()

    assert between.snapshot == a_snapshot(1_100)
    assert between.entries == entries(501, 1_200)
    assert loaded(path).entries == entries(1_001, 1_200)
