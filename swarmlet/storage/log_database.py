"""The durable log as one SQLite database: opened, checked, read, and written one transaction at a time.

- WAL and `synchronous=FULL`: a committed transaction is synced, a torn one is gone as a whole.
- The end of the log that is damaged is cut when it is loaded: the node is sent it again by the leader. It may have
  been acknowledged, so what is missing is remembered (`RestoredState.lost_tail`) until the node has caught up.
- Damage with good records after it is an error, because what comes after may have been agreed with this node.
- What is read is compared with what was written last (`progress`): nothing goes missing without a word.
- Not safe for threads: its owner lets one in at a time.
Source: Raft (Ongaro and Ousterhout), §5.1 and §7: what a server keeps; SQLite, "Write-Ahead Logging".
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import structlog

from swarmlet.model.pieces import joined, pieces_of
from swarmlet.raft import Entry, HardState, LostTail, Persist, RestoredState, Snapshot
from swarmlet.storage import records
from swarmlet.storage.atomic_file import sync_directory
from swarmlet.storage.errors import DamagedLog, StorageFailed, StorageFull, StorageInUse
from swarmlet.storage.lineage import NO_LINEAGE, Lineage
from swarmlet.storage.progress import SYNC_INTERVAL_S, Mark, Progress, decode_progress, mark_path
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
FULL = "the disk is full, or the log has reached its size limit: free some space"

PIECES_DROPPED_AT_ONCE = 2
ENTRIES_DROPPED_AT_ONCE = 500
"""Ten thousand would hold up the writes after them for 20 ms and more, on all nodes at the same time."""
_PIECE_BITS = 20
"""A piece's position in its table is the snapshot's last index, and in these lowest bits its number."""

PRAGMAS = (
    f"PRAGMA page_size = {PAGE_SIZE_BYTES}",
    "PRAGMA locking_mode = EXCLUSIVE",  # one process only, and no shared-memory file
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA journal_size_limit = {WAL_SIZE_BYTES_KEPT}",
)

log = structlog.get_logger()


class LogDatabase:
    def __init__(self, path: Path, connection: sqlite3.Connection, mark: Mark) -> None:
        self._path = path
        self._connection = connection
        self._mark = mark
        self._mark_synced_at = time.monotonic()
        self._progress = Progress()
        self.lineage: Lineage = NO_LINEAGE
        """Which log it is. A change goes to disk with the next write."""
        self.lost_tail: LostTail | None = None
        """As `RestoredState.lost_tail`; its end goes to disk with the next write."""
        self._snapshot_index = 0
        self._compacted_to = 0
        self._has_unused_pieces = self._has_unused_entries = False

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
            mark = Mark(mark_path(path))
            sync_directory(path.parent)
        except sqlite3.Error as error:
            connection.close()
            raise typed(path, error, reading=True) from error
        except OSError as error:
            connection.close()
            raise StorageFailed(path, error.strerror or str(error)) from error
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, mark)

    def close(self) -> None:
        """Moves the write-ahead log into the database, where the disk lets it."""
        try:
            self._mark.close()
            self._connection.close()
        except sqlite3.Error as error:
            log.warning("log_close_failed", file=str(self._path), error=str(error))

    @property
    def has_unused(self) -> bool:
        """There may be entries that are compacted, or pieces of snapshots that no longer count."""
        return self._has_unused_entries or self._has_unused_pieces

    # Reading

    def load(self) -> RestoredState:
        """All that was written, with a damaged end cut off. Raises `DamagedLog` and `StorageFailed`."""
        try:
            self._check_structure()
            stored = self._only("progress", "the record of progress", decode_progress)
            marked = self._mark.read()
            if stored is None and marked is not None:
                raise DamagedLog(self._path, "the database", f"has lost all {marked.writes} writes it had acknowledged")
            hard_state = self._only("hard_state", "the record of term and vote", records.decode_hard_state)
            snapshot = self._snapshot()
            entries = self._entries(snapshot)
            found = _progress_of(hard_state, snapshot, entries)
            if stored is None:
                # New, or of a format without this row.
                self._progress = found
                return RestoredState(hard_state or HardState(0, None), snapshot, entries)
            self._check_complete(found, stored)
            return self._continued(found, stored, marked, snapshot, entries)
        except sqlite3.Error as error:
            raise typed(self._path, error, reading=True) from error
        except OSError as error:
            raise StorageFailed(self._path, error.strerror or str(error)) from error
        except MemoryError as error:
            # What SQLite says of a length that is no length.
            raise DamagedLog(self._path, "the database", "is damaged (a record of impossible size)") from error

    def _check_structure(self) -> None:
        """SQLite's own check that its pages hang together; without it a damaged page might be found while writing."""
        (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedLog(self._path, "the database", f"is damaged ({' '.join(str(verdict).split())})")

    def _check_complete(self, found: Progress, stored: Progress) -> None:
        """The row of progress is of the same transaction as all the rest. Only the log's end may be missing."""
        if (found.term, found.voted_for) != (stored.term, stored.voted_for):
            raise DamagedLog(self._path, "the record of term and vote", "is missing or another than was written last")
        if found.snapshot_index != stored.snapshot_index:
            raise DamagedLog(self._path, "the snapshot", f"of index {stored.snapshot_index} is missing")
        if found.last_index > stored.last_index:
            raise DamagedLog(self._path, f"log entry {stored.last_index + 1}", "was cut off and is there again")

    def _continued(
        self,
        found: Progress,
        stored: Progress,
        marked: Progress | None,
        snapshot: Snapshot | None,
        entries: tuple[Entry, ...],
    ) -> RestoredState:
        """Compare what is there with what was reported, and note what is lost before anything is built on it."""
        is_behind = marked is not None and marked.writes > stored.writes
        reported = marked if marked is not None and is_behind else stored
        lost = LostTail(stored.lost_index, stored.lost_term) if stored.lost_index else None
        if is_behind or found.last_index < stored.last_index:
            lost = LostTail(
                max(stored.last_index, reported.last_index, stored.lost_index, reported.lost_index),
                max(stored.term, reported.term, stored.lost_term, reported.lost_term),
            )
            log.error(
                "log_tail_lost", file=str(self._path), acknowledged=lost.last_index, found=found.last_index,
                writes_lost=reported.writes - stored.writes,
            )  # fmt: skip
        self.lost_tail = lost
        self.lineage = reported.lineage
        hard_state = HardState(found.term, found.voted_for)
        if (reported.term, reported.voted_for is not None) > (found.term, found.voted_for is not None):
            hard_state = HardState(reported.term, reported.voted_for)
        self._progress = found._replace(writes=reported.writes)
        if self.lost_tail is not None:
            self.write([Persist(0, hard_state, None, (), None, None)])
        return RestoredState(hard_state, snapshot, entries, self.lost_tail)

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
        self._snapshot_index, self._has_unused_pieces = snapshot.last_index, True
        if len(data) != header.size_bytes:
            raise DamagedLog(self._path, "the snapshot", f"has {len(data)} bytes of {header.size_bytes}")
        return replace(snapshot, data=data)

    def _pieces(self, last_index: int) -> Iterator[bytes]:
        query = "SELECT position, record, checksum FROM snapshot_piece WHERE position BETWEEN ? AND ? ORDER BY position"
        first, last = _piece_positions(last_index)
        for key, record, stored in self._connection.execute(query, (first, last)):
            position = key - first
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

    def check_room(self, size_bytes: int) -> None:
        """Raises `StorageFull` where the log's own size limit leaves less than this."""
        names = ("max_page_count", "page_count", "freelist_count")
        most, used, free = (self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        if (most - used + free) * PAGE_SIZE_BYTES < size_bytes:
            raise StorageFull(self._path, FULL)

    # Writing

    def write(self, batch: Iterable[Persist]) -> None:
        """Carry out several in their order, as one transaction. Raises `sqlite3.Error`, with nothing written."""
        progress = self._progress
        with self._transaction():
            for persist in batch:
                self._carry_out(persist)
                progress = _advanced(progress, persist)
            lost = self.lost_tail or LostTail(0, 0)
            progress = progress._replace(
                writes=progress.writes + 1, lost_index=lost.last_index, lost_term=lost.term, lineage=self.lineage
            )
            self._replace("progress", progress.encoded())
            if self._has_unused_entries:
                self._drop_unused_entries()
        self._progress = progress
        self._mark.write(progress)
        if time.monotonic() - self._mark_synced_at >= SYNC_INTERVAL_S:
            self.sync_mark()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @property
    def mark_is_synced(self) -> bool:
        return self._mark.is_synced

    def sync_mark(self) -> None:
        """Raises `OSError`."""
        self._mark.sync()
        self._mark_synced_at = time.monotonic()

    def initialize(self, restored: RestoredState, lineage: Lineage) -> None:
        """Write the first state of a node that has none. Raises `StorageFailed`."""
        first = Persist(0, restored.hard_state, None, restored.entries, restored.snapshot, None)
        assert self.is_empty(), "a node that has a log must not be given another"
        self.lineage, self.lost_tail = lineage, restored.lost_tail
        self.change(first)

    def change(self, persist: Persist) -> None:
        """One write by itself, with the mark synced too. Raises `StorageFailed`."""
        try:
            self.write([persist])
            self.sync_mark()
        except sqlite3.Error as error:
            raise typed(self._path, error) from error
        except OSError as error:
            raise StorageFailed(self._path, error.strerror or str(error)) from error

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
            self._compacted_to, self._has_unused_entries = persist.compact_to, True

    def _write_snapshot(self, snapshot: Snapshot) -> None:
        self._replace("snapshot", records.encode_snapshot_header(snapshot))
        if not self._is_staged(snapshot):
            between = "DELETE FROM snapshot_piece WHERE position BETWEEN ? AND ?"
            self._connection.execute(between, _piece_positions(snapshot.last_index))
            self._insert_pieces(snapshot.last_index, 0, pieces_of(snapshot.data))
        self._snapshot_index, self._has_unused_pieces = snapshot.last_index, True

    def _is_staged(self, snapshot: Snapshot) -> bool:
        query = "SELECT count(*), max(position), sum(length(record)) FROM snapshot_piece WHERE position BETWEEN ? AND ?"
        first, last = _piece_positions(snapshot.last_index)
        count, highest, size_bytes = self._connection.execute(query, (first, last)).fetchone()
        return bool(count) and highest == first + count - 1 and size_bytes == len(snapshot.data)

    def stage(self, last_index: int, position: int, pieces: Iterable[bytes]) -> None:
        """Write some pieces of a snapshot before it counts, so that making it count takes a moment only.

        They go where pieces staged for the same index and position were. Raises `sqlite3.Error`.
        """
        with self._transaction():
            self._insert_pieces(last_index, position, pieces)

    def _insert_pieces(self, last_index: int, position: int, pieces: Iterable[bytes]) -> None:
        first, last = _piece_positions(last_index)
        for number, piece in enumerate(pieces, start=position):
            assert first + number <= last, "a snapshot is not so large"
            row = (first + number, piece, records.piece_checksum(piece, last_index, number))
            self._connection.execute("REPLACE INTO snapshot_piece VALUES (?, ?, ?)", row)

    def drop_unused(self) -> None:
        """Some of what is no longer used: to drop all at once takes long. Raises `sqlite3.Error`."""
        with self._transaction():
            if self._has_unused_entries:
                self._drop_unused_entries()
            else:
                self._drop_unused_pieces()

    def _drop_unused_entries(self) -> None:
        """What a crash leaves of them does no harm: the snapshot holds them too, and a peer may be spared it."""
        (first,) = self._connection.execute("SELECT min(position) FROM log").fetchone()
        last = min(self._compacted_to, (first or 0) + ENTRIES_DROPPED_AT_ONCE - 1)
        self._connection.execute("DELETE FROM log WHERE position <= ?", (last,))
        self._has_unused_entries = first is not None and last < self._compacted_to

    def _drop_unused_pieces(self) -> None:
        first, _ = _piece_positions(self._snapshot_index)
        statement = (
            "DELETE FROM snapshot_piece WHERE position IN "
            "(SELECT position FROM snapshot_piece WHERE position < ? ORDER BY position LIMIT ?)"
        )
        gone = self._connection.execute(statement, (first, PIECES_DROPPED_AT_ONCE)).rowcount
        self._has_unused_pieces = gone == PIECES_DROPPED_AT_ONCE

    def _insert(self, entries: Sequence[Entry]) -> None:
        """One statement for all: each one lets go of the interpreter's lock, and may wait long to have it back."""
        values: list[int | bytes] = []
        for entry in entries:
            record = records.encode_entry(entry)
            values += (entry.index, record, records.checksum(record))
        self._connection.execute("INSERT INTO log VALUES " + ",".join(("(?,?,?)",) * len(entries)), values)

    def _replace(self, table: str, record: bytes) -> None:
        self._connection.execute(f"REPLACE INTO {table} VALUES (1, ?, ?)", (record, records.checksum(record)))


def _piece_positions(last_index: int) -> tuple[int, int]:
    """The first and the last that a snapshot's pieces can have."""
    first = last_index << _PIECE_BITS
    return first, first + (1 << _PIECE_BITS) - 1


def last_known_progress(path: Path) -> Progress | None:
    """What a log that may be damaged in any way still says of itself; None when nothing. Changes nothing in it."""
    found: list[Progress] = []
    try:
        mark = Mark(mark_path(path))
        try:
            marked = mark.read()
        finally:
            mark.close()
        found += [marked] if marked is not None else []
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)
        try:
            record, stored = connection.execute("SELECT record, checksum FROM progress").fetchone() or (None, None)
        finally:
            connection.close()
        read = records.checked(record, stored, decode_progress)
        found += [read] if read is not None else []
    except (sqlite3.Error, OSError, MemoryError) as error:
        log.info("log_says_nothing", file=str(path), error=str(error))
    return max(found, key=lambda progress: progress.writes, default=None)


def _progress_of(hard_state: HardState | None, snapshot: Snapshot | None, entries: Sequence[Entry]) -> Progress:
    state = hard_state or HardState(0, None)
    snapshot_index = snapshot.last_index if snapshot else 0
    last_index = max(snapshot_index, entries[-1].index if entries else 0)
    return Progress(0, state.term, state.voted_for, snapshot_index, last_index)


def _advanced(progress: Progress, persist: Persist) -> Progress:
    """What is on disk after a write."""
    _, term, voted_for, snapshot_index, last_index, *_ = progress
    if persist.hard_state is not None:
        term, voted_for = persist.hard_state.term, persist.hard_state.voted_for
    if persist.truncate_from is not None:
        last_index = min(last_index, persist.truncate_from - 1)
    if persist.entries:
        last_index = persist.entries[-1].index
    if persist.snapshot is not None:
        snapshot_index = persist.snapshot.last_index
    return progress._replace(
        term=term, voted_for=voted_for, snapshot_index=snapshot_index, last_index=max(last_index, snapshot_index)
    )


def typed(path: Path, error: sqlite3.Error, reading: bool = False) -> StorageFailed | StorageInUse | DamagedLog:
    """SQLite's error in this package's words."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StorageFull(path, FULL)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageInUse(path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return DamagedLog(path, "the database", f"is damaged ({error})")
        case sqlite3.SQLITE_ERROR | sqlite3.SQLITE_TOOBIG if reading:
            # Our statements are right: it is the schema or a record that is not.
            return DamagedLog(path, "the database", f"is damaged ({error})")
        case _:
            return StorageFailed(path, str(error))
