"""The durable log as one SQLite database: opened, checked, read, and written one transaction at a time.

- WAL and `synchronous=FULL`: a committed transaction is synced, a torn one is gone as a whole.
- The end of the log that is damaged is cut when it is loaded: the node is sent it again by the leader.
  Damage with good records after it is an error, because what comes after may have been agreed with this node.
- Not safe for threads: its owner lets one in at a time.
Source: Raft (Ongaro and Ousterhout), §5.1 and §7: what a server keeps; SQLite, "Write-Ahead Logging".
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from swarmlet.model.pieces import joined, pieces_of
from swarmlet.raft import Entry, HardState, Persist, RestoredState, Snapshot
from swarmlet.storage import records
from swarmlet.storage.atomic_file import sync_directory
from swarmlet.storage.errors import DamagedLog, StorageFailed, StorageFull, StorageInUse
from swarmlet.storage.records import Decode, T
from swarmlet.storage.schema import migrate

SIZE_BYTES_MAX = 16 * 1024**3
"""A log that reaches this is not compacted any more, and stopping is better than filling the host's disk."""
PAGE_SIZE_BYTES = 4096
INDEX_MAX = 2**63 - 1
"""What an INTEGER of SQLite holds."""
ROWS_MAX = 64
"""Entries in one statement. SQLite's module keeps the last 128 statements prepared, so all these sizes fit."""
WAL_SIZE_BYTES_KEPT = 64 * 1024 * 1024
"""A write-ahead log that grew beyond is cut back when its content has moved into the database."""

PRAGMAS = (
    f"PRAGMA page_size = {PAGE_SIZE_BYTES}",
    "PRAGMA locking_mode = EXCLUSIVE",  # one process only, and no shared-memory file
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA journal_size_limit = {WAL_SIZE_BYTES_KEPT}",
)

log = structlog.get_logger()


class LogDatabase:
    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path, size_bytes_max: int = SIZE_BYTES_MAX) -> "LogDatabase":
        """Raises `StorageInUse`, `NewerFormat`, `DamagedLog` and `StorageFailed`."""
        try:
            connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise StorageFailed(path, str(error)) from error
        try:
            for pragma in PRAGMAS:
                connection.execute(pragma).fetchall()
            connection.execute(f"PRAGMA max_page_count = {size_bytes_max // PAGE_SIZE_BYTES}").fetchall()
            migrate(connection, path)
            path.chmod(0o600)
            sync_directory(path.parent)
        except sqlite3.Error as error:
            connection.close()
            raise typed(path, error) from error
        except OSError as error:
            connection.close()
            raise StorageFailed(path, error.strerror or str(error)) from error
        except BaseException:
            connection.close()
            raise
        return cls(path, connection)

    def close(self) -> None:
        """Moves the write-ahead log into the database, where the disk lets it."""
        try:
            self._connection.close()
        except sqlite3.Error as error:
            log.warning("log_close_failed", file=str(self._path), error=str(error))

    # Reading

    def load(self) -> RestoredState:
        """All that was written, with a damaged end cut off. Raises `DamagedLog` and `StorageFailed`."""
        try:
            hard_state = self._only("hard_state", "the record of term and vote", records.decode_hard_state)
            snapshot = self._snapshot()
            entries = self._entries(snapshot)
        except sqlite3.Error as error:
            raise typed(self._path, error) from error
        return RestoredState(hard_state or HardState(0, None), snapshot, entries)

    def is_empty(self) -> bool:
        tables = ("hard_state", "snapshot", "log")
        return not any(self._connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in tables)

    def _only(self, table: str, what: str, decode: Decode[T]) -> T | None:
        row = self._connection.execute(f"SELECT record, checksum FROM {table}").fetchone()
        if row is None:
            return None
        record, stored = row
        found = records.checked(record, stored, decode)
        if found is None:
            raise DamagedLog(self._path, what, "is damaged")
        return found

    def _snapshot(self) -> Snapshot | None:
        header = self._only("snapshot", "the snapshot", records.decode_snapshot_header)
        if header is None or header.size_bytes is None:
            return header.snapshot if header else None
        snapshot = header.snapshot
        data = joined(self._pieces(snapshot.last_index))
        if len(data) != header.size_bytes:
            raise DamagedLog(self._path, "the snapshot", f"has {len(data)} bytes of {header.size_bytes}")
        return replace(snapshot, data=data)

    def _pieces(self, last_index: int) -> Iterator[bytes]:
        rows = self._connection.execute("SELECT position, record, checksum FROM snapshot_piece ORDER BY position")
        for position, record, stored in rows:
            if not isinstance(record, bytes) or records.piece_checksum(record, last_index, position) != stored:
                raise DamagedLog(self._path, f"piece {position} of the snapshot", "is damaged")
            yield record

    def _entries(self, snapshot: Snapshot | None) -> tuple[Entry, ...]:
        last_index = snapshot.last_index if snapshot else 0
        return (*self._entries_within_snapshot(last_index), *self._entries_after(last_index))

    def _entries_within_snapshot(self, last_index: int) -> list[Entry]:
        """Entries kept although the snapshot holds them: the unbroken run that ends where it does.

        They only spare a peer the snapshot, so damage here costs them and nothing else.
        """
        run: list[Entry] = []
        damaged = 0
        for position, entry in self._rows(1, last_index):
            if entry is None or (run and run[-1].index + 1 != position):
                run.clear()
                damaged = position
            if entry is not None:
                run.append(entry)
        if run and run[-1].index != last_index:
            run.clear()
            damaged = last_index
        if damaged:
            log.warning("log_start_cut", file=str(self._path), last_cut=damaged)
            first_kept = run[0].index if run else last_index + 1
            self._connection.execute("DELETE FROM log WHERE position < ?", (first_kept,))
        return run

    def _entries_after(self, last_index: int) -> list[Entry]:
        """The log from where the snapshot ends; a damaged end is cut, damage before a good entry is an error."""
        entries: list[Entry] = []
        damaged: int | None = None
        for position, entry in self._rows(last_index + 1, INDEX_MAX):
            expected = last_index + len(entries) + 1
            if damaged is None and (entry is None or position != expected):
                damaged = expected
            if damaged is None and entry is not None:
                entries.append(entry)
            elif entry is not None:
                raise DamagedLog(self._path, f"log entry {damaged}", f"is damaged or missing, before entry {position}")
        if damaged is not None:
            log.warning("log_tail_cut", file=str(self._path), first_cut=damaged)
            self._connection.execute("DELETE FROM log WHERE position >= ?", (damaged,))
        return entries

    def _rows(self, first: int, last: int) -> Iterator[tuple[int, Entry | None]]:
        """Positions in order with their entries; None for one that is not what was written there."""
        query = "SELECT position, record, checksum FROM log WHERE position BETWEEN ? AND ? ORDER BY position"
        for position, record, stored in self._connection.execute(query, (first, last)):
            entry = records.checked(record, stored, records.decode_entry)
            yield position, entry if entry is not None and entry.index == position else None

    # Writing

    def write(self, batch: Iterable[Persist]) -> None:
        """Carry out several in their order, as one transaction. Raises `sqlite3.Error`, with nothing written."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for persist in batch:
                self._carry_out(persist)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def initialize(self, restored: RestoredState) -> None:
        """Write the first state of a node that has none. Raises `StorageFailed`."""
        first = Persist(0, restored.hard_state, None, restored.entries, restored.snapshot, None)
        try:
            assert self.is_empty(), "a node that has a log must not be given another"
            self.write([first])
        except sqlite3.Error as error:
            raise typed(self._path, error) from error

    def _carry_out(self, persist: Persist) -> None:
        execute = self._connection.execute
        if persist.hard_state is not None:
            self._replace("hard_state", records.encode_hard_state(persist.hard_state))
        if persist.truncate_from is not None:
            execute("DELETE FROM log WHERE position >= ?", (persist.truncate_from,))
        for start in range(0, len(persist.entries), ROWS_MAX):
            self._insert(persist.entries[start : start + ROWS_MAX])
        if persist.snapshot is not None:
            self._write_snapshot(persist.snapshot)
        if persist.compact_to is not None:
            execute("DELETE FROM log WHERE position <= ?", (persist.compact_to,))

    def _write_snapshot(self, snapshot: Snapshot) -> None:
        self._replace("snapshot", records.encode_snapshot_header(snapshot))
        self._connection.execute("DELETE FROM snapshot_piece")
        for position, piece in enumerate(pieces_of(snapshot.data)):
            checksum = records.piece_checksum(piece, snapshot.last_index, position)
            self._connection.execute("INSERT INTO snapshot_piece VALUES (?, ?, ?)", (position, piece, checksum))

    def _insert(self, entries: Sequence[Entry]) -> None:
        """One statement for all: each one lets go of the interpreter's lock, and may wait long to have it back."""
        values: list[int | bytes] = []
        for entry in entries:
            record = records.encode_entry(entry)
            values += (entry.index, record, records.checksum(record))
        self._connection.execute("INSERT INTO log VALUES " + ",".join(("(?,?,?)",) * len(entries)), values)

    def _replace(self, table: str, record: bytes) -> None:
        self._connection.execute(f"REPLACE INTO {table} VALUES (1, ?, ?)", (record, records.checksum(record)))


def typed(path: Path, error: sqlite3.Error) -> StorageFailed | StorageInUse | DamagedLog:
    """SQLite's error in this package's words."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StorageFull(path, "the disk is full, or the log has reached its size limit: free some space")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageInUse(path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return DamagedLog(path, "the database", f"is damaged ({error})")
        case _:
            return StorageFailed(path, str(error))
