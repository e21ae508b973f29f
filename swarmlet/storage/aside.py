"""Puts a node's log aside and begins another in its place, as one step that a crash can't leave half done.

What is to be done is written down first (`aside.json`, replaced as a whole); then the old files are moved, the new log
is begun, and the note is removed. Whoever opens the data directory next finishes what the note says. Between the two a
log must never be opened: SQLite would take an old write-ahead log for that of a new database.
The files are kept in `aside/`, the latest `KEPT_MAX` of them, for people to look into.
"""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from swarmlet.model.ids import NodeId
from swarmlet.raft import HardState, LostTail, RestoredState
from swarmlet.storage.atomic_file import sync_directory, write_atomically
from swarmlet.storage.errors import DirectoryDamaged, DirectoryUnusable
from swarmlet.storage.lineage import Lineage
from swarmlet.storage.progress import mark_path
from swarmlet.storage.raft_storage import RaftStorage

NOTE_FILE = "aside.json"
ASIDE_DIRECTORY = "aside"
KEPT_MAX = 3

NO_VOTE = HardState(0, None)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewLog:
    """What a log that has no entries yet begins with."""

    lineage: Lineage
    hard_state: HardState = NO_VOTE
    lost_tail: LostTail | None = None


def set_log_aside(log_path: Path, reason: str, new: NewLog) -> Path:
    """Where the old log is kept. Raises `DirectoryUnusable` and what the storage raises."""
    kept = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{reason}"
    lost = new.lost_tail or LostTail(0, 0)
    note = {
        "kept": kept,
        "lineage": list(new.lineage),
        "term": new.hard_state.term,
        "voted_for": new.hard_state.voted_for,
        "lost_index": lost.last_index,
        "lost_term": lost.term,
    }
    try:
        write_atomically(log_path.parent / NOTE_FILE, json.dumps(note).encode())
    except OSError as error:
        raise DirectoryUnusable(log_path.parent, f"{NOTE_FILE} can't be written: {error.strerror or error}") from error
    finish_setting_aside(log_path)
    return log_path.parent / ASIDE_DIRECTORY / kept


def finish_setting_aside(log_path: Path) -> None:
    """Do what a note says, if there is one; as often as need be, with the same outcome."""
    note_path = log_path.parent / NOTE_FILE
    try:
        note = json.loads(note_path.read_bytes())
        kept = log_path.parent / ASIDE_DIRECTORY / str(note["kept"])
        new = NewLog(
            Lineage(*note["lineage"]),
            HardState(int(note["term"]), None if note["voted_for"] is None else NodeId(note["voted_for"])),
            LostTail(int(note["lost_index"]), int(note["lost_term"])) if note["lost_index"] else None,
        )
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as error:
        raise DirectoryDamaged(note_path, f"it is no note of this version ({error})") from error
    try:
        if not kept.exists():
            _move_all(log_path, kept)
        with RaftStorage.open(log_path) as storage:
            storage.load()
            if storage.is_empty():
                storage.initialize(RestoredState(new.hard_state, None, (), new.lost_tail), new.lineage)
        note_path.unlink()
        sync_directory(log_path.parent)
    except OSError as error:
        raise DirectoryUnusable(log_path.parent, error.strerror or str(error)) from error
    log.warning("log_set_aside", kept=str(kept))
    _forget_old(kept.parent)


def _move_all(log_path: Path, kept: Path) -> None:
    """All of it, or it is begun again: the directory gets its name when all files are in it."""
    gathering = kept.with_name(kept.name + ".new")
    gathering.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = (
        log_path,
        *(log_path.with_name(log_path.name + suffix) for suffix in ("-wal", "-shm")),
        mark_path(log_path),
    )
    for file in files:
        if file.exists():
            file.replace(gathering / file.name)
    sync_directory(log_path.parent)
    sync_directory(gathering)
    gathering.replace(kept)
    sync_directory(kept.parent)


def _forget_old(directory: Path) -> None:
    kept = sorted(path for path in directory.iterdir() if path.is_dir())
    for old in kept[:-KEPT_MAX]:
        shutil.rmtree(old, ignore_errors=True)
