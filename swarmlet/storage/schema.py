"""The database's format: its tables, its number, and the way from each older number to the next.

The number is SQLite's own `user_version`; 0 is a file without tables. `MIGRATIONS[n]` makes format n+1 of
format n; they are only ever appended. All of them run in one transaction: a crash leaves the old format whole.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from swarmlet.storage.errors import NewerFormat

Migration = Sequence[str]

MIGRATIONS: tuple[Migration, ...] = (
    (
        "CREATE TABLE hard_state (only INTEGER PRIMARY KEY CHECK (only = 1), record BLOB NOT NULL, checksum INTEGER)",
        "CREATE TABLE snapshot (only INTEGER PRIMARY KEY CHECK (only = 1), record BLOB NOT NULL, checksum INTEGER)",
        "CREATE TABLE log (position INTEGER PRIMARY KEY, record BLOB NOT NULL, checksum INTEGER)",
    ),
    ("CREATE TABLE snapshot_piece (position INTEGER PRIMARY KEY, record BLOB NOT NULL, checksum INTEGER)",),
    ("CREATE TABLE progress (only INTEGER PRIMARY KEY CHECK (only = 1), record BLOB NOT NULL, checksum INTEGER)",),
)
APPLICATION_ID = 0x5357_4C54
"""'SWLT': lets `file` and people tell what the database is."""


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a database to the newest format. Raises `NewerFormat`, and SQLite's errors."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > len(migrations):
        raise NewerFormat(path, found, len(migrations))
    if found == len(migrations):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for migration in migrations[found:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
