"""What a disk may do to the log: the end may be cut, the middle must be as it was written."""

import zlib
from pathlib import Path

import msgpack
import pytest
from storage_builders import a_persist, a_snapshot, as_after_a_crash, damage, entries, loaded, write_and_wait, written

from swarmlet.raft import HardState, LostTail, RestoredState
from swarmlet.storage import DamagedLog, NewerFormat, RaftStorage
from swarmlet.storage.progress import mark_path
from swarmlet.storage.schema import MIGRATIONS

FLIPPED = "UPDATE log SET record = zeroblob(length(record)) WHERE position = ?"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "raft.db"
    written(path, a_persist(1, entries(4, 9), HardState(2, None), snapshot=a_snapshot(3)))
    return path


def test_a_damaged_end_is_cut_and_the_log_goes_on_from_there(path: Path) -> None:
    damage(path, FLIPPED, 8)
    damage(path, FLIPPED, 9)

    assert loaded(path).entries == entries(4, 7)

    written(path, a_persist(1, entries(8, 8)))
    assert loaded(path).entries == entries(4, 8)


def test_a_checksum_that_does_not_fit_counts_as_damage(path: Path) -> None:
    damage(path, "UPDATE log SET checksum = checksum + 1 WHERE position = 9")

    assert loaded(path).entries == entries(4, 8)


def test_damage_before_a_good_record_is_an_error_that_names_it_and_what_to_do(path: Path) -> None:
    damage(path, FLIPPED, 6)

    with pytest.raises(DamagedLog) as refused:
        loaded(path)

    assert refused.value.record == "log entry 6"
    assert f"{path}: log entry 6 is damaged or missing, before entry 7" in str(refused.value)
    assert "run `swarmlet recover --discard --config FILE`" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nothing_is_cut_from_a_log_that_is_refused(path: Path) -> None:
    damage(path, FLIPPED, 6)
    damage(path, FLIPPED, 9)

    for _ in range(2):
        with pytest.raises(DamagedLog, match="log entry 6"):
            loaded(path)


def test_a_missing_record_is_damage_too(path: Path) -> None:
    damage(path, "DELETE FROM log WHERE position = 5")

    with pytest.raises(DamagedLog, match="log entry 5 is damaged or missing"):
        loaded(path)


def test_a_missing_record_before_a_damaged_end_is_cut_with_it(path: Path) -> None:
    damage(path, "DELETE FROM log WHERE position = 8")
    damage(path, FLIPPED, 9)

    assert loaded(path).entries == entries(4, 7)


def test_a_log_that_does_not_reach_back_to_its_snapshot_is_damaged(path: Path) -> None:
    damage(path, "DELETE FROM log WHERE position = 4")

    with pytest.raises(DamagedLog, match="log entry 4 is damaged or missing, before entry 5"):
        loaded(path)


def test_records_in_each_others_place_are_damage(path: Path) -> None:
    damage(path, "UPDATE log SET position = 100 WHERE position = 5")
    damage(path, "UPDATE log SET position = 5 WHERE position = 6")
    damage(path, "UPDATE log SET position = 6 WHERE position = 100")
    damage(path, FLIPPED, 9)

    with pytest.raises(DamagedLog, match="log entry 5"):
        loaded(path)


@pytest.mark.parametrize("statement", [FLIPPED, "DELETE FROM log WHERE position = ?"])
def test_damage_in_what_the_snapshot_holds_too_costs_only_the_entries_up_to_it(path: Path, statement: str) -> None:
    written(path, a_persist(1, snapshot=a_snapshot(8)))
    assert loaded(path).entries == entries(4, 9)

    damage(path, statement, 6)

    assert loaded(path).entries == entries(7, 9)
    assert loaded(path).snapshot == a_snapshot(8)


def test_entries_that_end_before_the_snapshot_does_are_dropped(path: Path) -> None:
    written(path, a_persist(1, snapshot=a_snapshot(20)))

    assert loaded(path).entries == ()

    written(path, a_persist(1, entries(21, 22)))
    assert loaded(path).entries == entries(21, 22)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE snapshot_piece SET record = zeroblob(7) WHERE position % 4 = 1", "piece 1 of the snapshot"),
        ("UPDATE snapshot_piece SET position = position + 9", "piece 9 of the snapshot"),
        ("DELETE FROM snapshot_piece WHERE position % 4 = 2", "the snapshot has 524288 bytes of 600000"),
        ("DELETE FROM snapshot_piece", "the snapshot has 0 bytes of 600000"),
    ],
    ids=["altered", "moved", "one lost", "all lost"],
)
def test_a_damaged_or_missing_piece_of_a_snapshot_is_an_error(path: Path, statement: str, what: str) -> None:
    written(path, a_persist(1, snapshot=a_snapshot(3, b"x" * 600_000)))

    damage(path, statement)

    with pytest.raises(DamagedLog, match=what):
        loaded(path)


def test_a_snapshot_of_the_first_format_is_still_read(path: Path) -> None:
    written(path, a_persist(1, snapshot=a_snapshot(3)))
    record = msgpack.packb((3, 1, [["a"], [], []], b"old"))
    damage(path, "UPDATE snapshot SET record = ?, checksum = ?", record, zlib.crc32(record))
    damage(path, "DELETE FROM snapshot_piece")

    found = loaded(path).snapshot

    assert found is not None and (found.last_index, found.data) == (3, b"old")


@pytest.mark.parametrize(
    ("table", "record"), [("hard_state", "the record of term and vote"), ("snapshot", "the snapshot")]
)
def test_a_damaged_vote_or_snapshot_is_an_error(path: Path, table: str, record: str) -> None:
    damage(path, f"UPDATE {table} SET record = x'00'")

    with pytest.raises(DamagedLog, match=f"{record} is damaged"):
        loaded(path)


def test_a_database_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(b"not a database at all" * 1000)

    with pytest.raises(DamagedLog, match="the database is damaged"):
        loaded(path)


def test_a_database_of_a_newer_version_is_refused(path: Path) -> None:
    damage(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(NewerFormat, match=f"format {len(MIGRATIONS) + 1}, this one knows up to {len(MIGRATIONS)}"):
        loaded(path)


def test_whatever_is_left_of_a_torn_write_ahead_log_is_a_whole_prefix(tmp_path: Path) -> None:
    original = tmp_path / "raft.db"
    with RaftStorage.open(original) as storage:
        for sequence in range(1, 7):
            write_and_wait(
                storage, a_persist(sequence, entries(3 * sequence - 2, 3 * sequence), HardState(sequence, None))
            )
        content = as_after_a_crash(original, tmp_path / "whole").with_name("raft.db-wal").read_bytes()

        for number, length in enumerate([*range(0, len(content), 1777), len(content) - 1]):
            copy = as_after_a_crash(original, tmp_path / f"torn{number}")
            copy.with_name("raft.db-wal").write_bytes(content[:length])

            try:
                restored = loaded(copy)
            except DamagedLog as refused:
                assert "has lost all 6 writes" in str(refused)
                continue
            whole = len(restored.entries) // 3
            assert restored.entries == entries(1, 3 * whole), "a write is there whole or not at all"
            assert restored.hard_state == HardState(6, None), "no vote is forgotten"
            assert restored.lost_tail == LostTail(18, 6) and whole < 6


def test_a_transaction_that_was_torn_before_it_was_reported_is_no_loss(tmp_path: Path) -> None:
    original = tmp_path / "raft.db"
    with RaftStorage.open(original) as storage:
        write_and_wait(storage, a_persist(1, entries(1, 3)))
        mark = mark_path(original).read_bytes()
        write_and_wait(storage, a_persist(2, entries(4, 6)))
        copy = as_after_a_crash(original, tmp_path / "copy")
    wal = copy.with_name("raft.db-wal")
    wal.write_bytes(wal.read_bytes()[:-1])
    mark_path(copy).write_bytes(mark)

    restored = loaded(copy)

    assert restored.entries == entries(1, 3)
    assert restored.lost_tail is None


def test_what_was_lost_is_remembered_until_the_server_says_that_it_has_caught_up(path: Path) -> None:
    damage(path, FLIPPED, 9)
    assert loaded(path).lost_tail == LostTail(9, 2)

    written(path, a_persist(1, entries(9, 9)))
    assert loaded(path).lost_tail == LostTail(9, 2)

    with RaftStorage.open(path) as storage:
        storage.load()
        storage.forget_lost_tail()
        write_and_wait(storage, a_persist(1, entries(10, 10)))
    assert loaded(path) == RestoredState(HardState(2, None), a_snapshot(3), entries(4, 10))


@pytest.mark.parametrize("table", ["hard_state", "snapshot", "progress"])
def test_a_record_that_is_gone_is_damage_too(path: Path, table: str) -> None:
    damage(path, f"DELETE FROM {table}")

    with pytest.raises(DamagedLog):
        loaded(path)


def test_entries_that_are_gone_from_the_end_without_a_trace_are_missed(path: Path) -> None:
    damage(path, "DELETE FROM log WHERE position > 6")

    restored = loaded(path)

    assert restored.entries == entries(4, 6)
    assert restored.lost_tail == LostTail(9, 2)


@pytest.mark.parametrize("content", [b"", b"\0" * 1024, b"nonsense" * 128])
def test_a_mark_that_is_spoilt_costs_nothing_while_the_log_is_whole(path: Path, content: bytes) -> None:
    mark_path(path).write_bytes(content)

    restored = loaded(path)

    assert (restored.entries, restored.lost_tail) == (entries(4, 9), None)


def test_a_flipped_byte_in_the_write_ahead_log_cuts_what_comes_after(tmp_path: Path) -> None:
    original = tmp_path / "raft.db"
    with RaftStorage.open(original) as storage:
        for sequence in range(1, 5):
            write_and_wait(storage, a_persist(sequence, entries(sequence, sequence)))
        copy = as_after_a_crash(original, tmp_path / "copy")
    wal = copy.with_name("raft.db-wal")
    content = bytearray(wal.read_bytes())
    content[-100] ^= 0xFF
    wal.write_bytes(content)

    restored = loaded(copy)

    assert restored.entries == entries(1, 3)
    assert restored.lost_tail == LostTail(4, 0)
