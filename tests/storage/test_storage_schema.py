import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmlet.storage.schema import MIGRATIONS, migrate

NEXT = (*MIGRATIONS, ("ALTER TABLE log ADD COLUMN note TEXT", "UPDATE log SET note = 'old'"))
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
