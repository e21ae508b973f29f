import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest
from storage_builders import a_persist, entries, loaded, written

from swarmlet.model.ids import NodeId
from swarmlet.raft import HardState, Membership, RestoredState, Snapshot
from swarmlet.storage.records import encode_entry
from swarmlet.storage.schema import MIGRATIONS, migrate

NEXT = (*MIGRATIONS, ("ALTER TABLE log ADD COLUMN note TEXT", "UPDATE log SET note = 'old'"))
OLD_SNAPSHOT = msgpack.packb((4, 1, [["a"], [], []], b"old"))
BROKEN = (*NEXT, ("CREATE TABLE later (x)", "this is no SQL"))


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def test_a_new_database_gets_the_newest_format(database: sqlite3.Connection) -> None:
    migrate(database, Path("raft.db"), NEXT)

    assert version(database) == len(NEXT)


def test_an_older_database_is_brought_forward_with_its_content(database: sqlite3.Connection) -> None:
    migrate(database, Path("raft.db"))
    database.execute("INSERT INTO log VALUES (1, x'00', 0)")

    migrate(database, Path("raft.db"), NEXT)

    assert version(database) == len(NEXT)
    assert database.execute("SELECT position, note FROM log").fetchall() == [(1, "old")]


def test_a_migration_that_fails_leaves_the_old_format_whole(database: sqlite3.Connection) -> None:
    migrate(database, Path("raft.db"), NEXT)

    with pytest.raises(sqlite3.OperationalError):
        migrate(database, Path("raft.db"), BROKEN)

    assert version(database) == len(NEXT)
    assert database.execute("SELECT name FROM sqlite_master WHERE name = 'later'").fetchall() == []


@pytest.mark.parametrize("format_number", range(1, len(MIGRATIONS)))
def test_a_log_of_each_older_format_is_read_and_brought_forward(tmp_path: Path, format_number: int) -> None:
    path = tmp_path / "raft.db"
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, path, MIGRATIONS[:format_number])
    for table, record in (("hard_state", msgpack.packb((3, "a"))), ("snapshot", OLD_SNAPSHOT)):
        connection.execute(f"INSERT INTO {table} VALUES (1, ?, ?)", (record, zlib.crc32(record)))
    for entry in entries(5, 7):
        record = encode_entry(entry)
        connection.execute("INSERT INTO log VALUES (?, ?, ?)", (entry.index, record, zlib.crc32(record)))
    connection.close()
    old = RestoredState(
        HardState(3, NodeId("a")), Snapshot(4, 1, Membership(frozenset({NodeId("a")})), b"old"), entries(5, 7)
    )

    assert loaded(path) == old

    written(path, a_persist(1, entries(8, 8)))
    assert loaded(path).entries == entries(5, 8)
    with sqlite3.connect(path) as connection:
        assert version(connection) == len(MIGRATIONS)
    connection.close()
