"""What a power cut may leave of a file that was being written: any of the sectors written since the last sync.

SQLite syncs the write-ahead log before a commit counts, its new header before the frames that follow it, and touches
the database only once the log is synced (https://sqlite.org/wal.html; `walRestartHdr` and `sqlite3WalFrames` in
wal.c). So a commit goes through three stages, and a cut may come in any:
- the log's new header is written, where the log begins again;
- the transaction's frames are written: until the sync is over, it may be there or not, but never in part;
  what stood in the same sectors before is left alone (SQLITE_POWERSAFE_OVERWRITE, the default);
- pages move from the log to the database: the transaction is there, whatever has become of the pages. Only now is the
  mark beside the database written (`storage.progress`), and it waits longer for its own sync.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from swarmlet.storage.progress import mark_path

SECTOR_BYTES = 512
WAL_HEADER_BYTES = 32


@dataclass(frozen=True, slots=True)
class Files:
    """A database's content on the disk."""

    database: bytes
    wal: bytes
    mark: bytes

    @classmethod
    def read(cls, path: Path) -> "Files":
        wal = wal_of(path)
        return cls(path.read_bytes(), wal.read_bytes() if wal.exists() else b"", mark_path(path).read_bytes())

    def write(self, path: Path) -> None:
        path.write_bytes(self.database)
        wal_of(path).write_bytes(self.wal)
        mark_path(path).write_bytes(self.mark)


@dataclass(frozen=True, slots=True)
class Remains:
    files: Files
    committed: bool
    """The transaction was synced: it has to be there."""


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def cut_while_writing(before: Files, after: Files, rng: Random) -> Remains:
    """One transaction led from one state of the files to the other."""
    restarted = before.wal[:WAL_HEADER_BYTES] != after.wal[:WAL_HEADER_BYTES]
    stage = rng.choice(("header", "frames", "frames", "pages"))
    if stage == "header" and restarted:
        written = rng.randint(0, WAL_HEADER_BYTES)
        begun = after.wal[:written] + before.wal[written:]
        return Remains(Files(before.database, begun, before.mark), committed=False)
    if stage != "pages":
        with_header = after.wal[:WAL_HEADER_BYTES] + before.wal[WAL_HEADER_BYTES:]
        return Remains(Files(before.database, torn(with_header, after.wal, rng), before.mark), committed=False)
    pages, mark = torn(before.database, after.database, rng), torn(before.mark, after.mark, rng)
    return Remains(Files(pages, after.wal, mark), committed=True)


def torn(before: bytes, after: bytes, rng: Random) -> bytes:
    """A file of which some of what was written since the last sync is there."""
    changed = [at for at in range(0, len(after), SECTOR_BYTES) if _sector(before, at) != _sector(after, at)]
    if not changed:
        return after
    match rng.choice(("all", "cut", "sectors", "flips")):
        case "all":
            return after
        case "cut":
            at = rng.randint(changed[0], min(changed[-1] + SECTOR_BYTES, len(after)))
            return after[:at] + before[at:]
        case "sectors":
            kept = bytearray(before.ljust(len(after), b"\0") if len(after) > len(before) else before)
            for start in rng.sample(changed, rng.randint(0, len(changed))):
                kept[start : start + SECTOR_BYTES] = _sector(after, start)
            return bytes(kept)
        case _:
            sectors = rng.choices(changed, k=rng.randint(1, 3))
            return flipped(after, [rng.choice(_written_in(before, after, start)) for start in sectors], rng)


def flipped(content: bytes, positions: list[int], rng: Random) -> bytes:
    """One bit is wrong in each of these bytes."""
    damaged = bytearray(content)
    for position in positions:
        damaged[position] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _written_in(before: bytes, after: bytes, start: int) -> list[int]:
    """What was written of a sector. SQLite relies on the rest of it being left alone (powersafe overwrite)."""
    old = _sector(before, start).ljust(SECTOR_BYTES, b"\0")
    return [start + offset for offset, new in enumerate(_sector(after, start)) if new != old[offset]] or [start]


def _sector(content: bytes, start: int) -> bytes:
    return content[start : start + SECTOR_BYTES]
