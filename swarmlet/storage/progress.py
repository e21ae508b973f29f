"""How far the log had come when its last write was reported: kept twice, so that a loss is noticed.

What a server has told others must still be on its disk after a restart. A checksum finds a record that changed, but
not one that is gone, and SQLite passes over the damaged end of its write-ahead log without a word. So every
transaction rewrites one row that counts the writes and says where the log ends; and when it is synced, and before
anybody hears of it, the same goes to a small file beside the database (the mark).

Rules:
- The mark is written after the transaction is synced, so it never says more than was on the disk. If the database
  says less than the mark, the disk has lost something.
- The mark has two slots, written in turn: a torn write spoils one, and the other is one write older.
- The mark is not synced with each write (that would double the time of each), but at most `SYNC_INTERVAL_S` later.
  A process that dies loses none of it; a power cut may lose so much of the mark's knowledge, never of the log.
Source: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage" (FAST 2018), on telling a crash from
damage; decision 0015.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

import msgpack
import structlog

from swarmlet.model.ids import NodeId
from swarmlet.storage.lineage import NO_LINEAGE, Lineage
from swarmlet.storage.records import checksum

MARK_SUFFIX = ".mark"
SLOT_BYTES = 512
HEADER = struct.Struct(">II")
SYNC_INTERVAL_S = 1.0

log = structlog.get_logger()


class Progress(NamedTuple):
    writes: int = 0
    """Transactions so far; only grows."""
    term: int = 0
    voted_for: NodeId | None = None
    snapshot_index: int = 0
    last_index: int = 0
    """Where the log ends; the snapshot's end where there are no entries after it."""
    lost_index: int = 0
    """Up to here entries may be missing that were acknowledged; 0 where nothing was lost."""
    lost_term: int = 0
    lineage: Lineage = NO_LINEAGE

    def encoded(self) -> bytes:
        packed: bytes = msgpack.packb((*self[:-1], list(self.lineage)))
        return packed


def decode_progress(record: bytes) -> Progress:
    """Raises `ValueError` or `TypeError` on foreign bytes."""
    writes, term, voted_for, snapshot_index, last_index, lost_index, lost_term, lineage = msgpack.unpackb(record)
    log_id, epoch, recovery = lineage
    return Progress(
        int(writes),
        int(term),
        None if voted_for is None else NodeId(str(voted_for)),
        int(snapshot_index),
        int(last_index),
        int(lost_index),
        int(lost_term),
        Lineage(str(log_id), int(epoch), str(recovery)),
    )


class Mark:
    """The file beside the database. Raises `OSError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.is_synced = True

    def read(self) -> Progress | None:
        """The newest that can be read; None for a new file, and for one that is spoilt as a whole."""
        content = os.pread(self._descriptor, 2 * SLOT_BYTES, 0)
        slots = [_decoded(content[start : start + SLOT_BYTES]) for start in (0, SLOT_BYTES)]
        if len(content) > SLOT_BYTES and None in slots and max(p.writes for p in (*slots, Progress()) if p) > 1:
            log.warning("mark_spoilt", file=str(self.path), slots_readable=sum(slot is not None for slot in slots))
        return max((slot for slot in slots if slot is not None), key=lambda slot: slot.writes, default=None)

    def write(self, progress: Progress) -> None:
        record = progress.encoded()
        slot = HEADER.pack(len(record), checksum(record)) + record
        assert len(slot) <= SLOT_BYTES, "a node's id has 16 characters"
        os.pwrite(self._descriptor, slot.ljust(SLOT_BYTES, b"\0"), progress.writes % 2 * SLOT_BYTES)
        self.is_synced = False

    def sync(self) -> None:
        os.fdatasync(self._descriptor)
        self.is_synced = True

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _decoded(slot: bytes) -> Progress | None:
    if len(slot) < HEADER.size:
        return None
    size, stored = HEADER.unpack_from(slot)
    record = slot[HEADER.size : HEADER.size + size]
    if size == 0 or checksum(record) != stored:
        return None
    try:
        return decode_progress(record)
    except (msgpack.UnpackException, ValueError, TypeError):
        return None


def mark_path(database: Path) -> Path:
    return database.with_name(database.name + MARK_SUFFIX)
