"""Log entries and writes for tests, short to write, and a storage that is driven without waiting by the clock."""

import shutil
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from swarmlet.model.ids import NodeId
from swarmlet.raft import Entry, EntryKind, HardState, Membership, Persist, RestoredState, Snapshot
from swarmlet.storage import RaftStorage
from swarmlet.storage.progress import mark_path

DEADLINE_S = 20.0


def an_entry(index: int, term: int = 1, data: bytes = b"data") -> Entry:
    return Entry(index, term, EntryKind.NORMAL, data)


def entries(first: int, last: int, term: int = 1) -> tuple[Entry, ...]:
    return tuple(an_entry(index, term, f"entry {index}".encode()) for index in range(first, last + 1))


def a_snapshot(last_index: int = 5, data: bytes = b"state") -> Snapshot:
    membership = Membership(
        voters=frozenset({NodeId("a"), NodeId("b")}), learners=frozenset({NodeId("c")}), outgoing=frozenset()
    )
    return Snapshot(last_index, 1, membership, data)


def a_persist(
    sequence: int = 1,
    entries: Sequence[Entry] = (),
    hard_state: HardState | None = None,
    truncate_from: int | None = None,
    snapshot: Snapshot | None = None,
    compact_to: int | None = None,
) -> Persist:
    return Persist(sequence, hard_state, truncate_from, tuple(entries), snapshot, compact_to)


def write_and_wait(storage: RaftStorage, *writes: Persist) -> list[tuple[int, BaseException | None]]:
    """Hand over all writes at once; what was reported of them, in the order of the reports."""
    reported: list[tuple[int, BaseException | None]] = []
    all_done = threading.Event()

    def on_done(sequence: int, error: BaseException | None) -> None:
        reported.append((sequence, error))
        if len(reported) == len(writes):
            all_done.set()

    for persist in writes:
        storage.write(persist, on_done)
    assert all_done.wait(DEADLINE_S), f"only {len(reported)} of {len(writes)} writes were reported"
    return reported


def written(path: Path, *writes: Persist) -> None:
    with RaftStorage.open(path) as storage:
        storage.load()
        assert all(error is None for _, error in write_and_wait(storage, *writes))


def loaded(path: Path) -> RestoredState:
    with RaftStorage.open(path) as storage:
        return storage.load()


def as_after_a_crash(path: Path, copy: Path) -> Path:
    """The files as they are on the disk now, without the storage being closed."""
    copy.mkdir(exist_ok=True)
    for file in (path, path.with_name(path.name + "-wal"), mark_path(path)):
        if file.exists():
            shutil.copy(file, copy / file.name)
    return copy / path.name


def damage(path: Path, statement: str, *parameters: object) -> None:
    """Change what is on the disk behind the storage's back."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, parameters)
    connection.close()
