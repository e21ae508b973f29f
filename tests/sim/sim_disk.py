"""A server's disk: the real storage code, over files that a crash leaves as a power cut may.

Writes wait to be synced and are then carried out by `LogDatabase`, as in one turn of `RaftStorage`'s thread. A crash
loses what waits, or finds the thread in the middle of it. What is read back is compared with what must be there.
"""

import sqlite3
from pathlib import Path
from random import Random

from sim_log_image import EMPTY, LogImage
from sim_torn import Files, cut_while_writing, flipped
from sim_violation import check

from swarmlet.errors import SwarmletError
from swarmlet.raft import Persist, RestoredState
from swarmlet.storage.lineage import NO_LINEAGE
from swarmlet.storage.log_database import LogDatabase, typed

WAL_PAGES_MAX = 24
"""So few that every run moves pages from the write-ahead log to the database, again and again."""


class DiskUnusable(Exception):
    """A bit has rotted, and the storage refuses to go on."""


class Disk:
    def __init__(self, path: Path, restored: RestoredState | None) -> None:
        self._path = path
        self._database: LogDatabase | None = self._open()
        if restored is not None:
            self._database.initialize(restored, NO_LINEAGE)
        self.durable = LogImage(restored or EMPTY)
        self.latency_max_s = 0.01
        self.stalled_until = 0.0
        self.torn_transactions = 0
        self._waiting: list[Persist] = []
        self._free_at = 0.0
        self._may_be: list[LogImage] = []
        """What the log is instead if a transaction is there that was being written at a crash. A later crash may even
        bring back one that seemed lost, as long as nothing was synced in its place."""
        self._must_be = False
        self._rotten = False

    def write(self, persist: Persist, now: float, rng: Random) -> float:
        """Returns when it will be synced."""
        self._waiting.append(persist)
        begins_at = max(now, self._free_at, self.stalled_until)
        self._free_at = begins_at + rng.uniform(0.0005, self.latency_max_s)
        return self._free_at

    def sync(self, sequence: int, rng: Random) -> int | None:
        """Sync up to `sequence`, or whatever has gathered (group commit); the last sequence that is safe now.

        Raises `DiskUnusable` where a bit has rotted.
        """
        if not self._waiting or self._waiting[0].sequence > sequence:
            return None
        group = self._waiting if rng.random() < 0.5 else [p for p in self._waiting if p.sequence <= sequence]
        self._carry_out(group)
        self._may_be.clear()
        for persist in group:
            self.durable.carry_out(persist)
        self._waiting = self._waiting[len(group) :]
        return group[-1].sequence

    def _carry_out(self, group: list[Persist]) -> None:
        assert self._database is not None
        try:
            self._database.write(group)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            check(self._rotten, "a sound disk takes what is written", error)
            raise DiskUnusable(str(typed(self._path, error))) from error

    # Crashes

    def crash(self, rng: Random) -> None:
        """Raises `DiskUnusable` where a bit has rotted."""
        assert self._database is not None
        group = self._waiting[: rng.randint(0, len(self._waiting))]
        files = Files.read(self._path)
        if group:
            self._carry_out(group)
            remains = cut_while_writing(files, Files.read(self._path), rng)
            files, self._must_be = remains.files, remains.committed
            with_it = self.durable.copy()
            for persist in group:
                with_it.carry_out(persist)
            self._may_be.append(with_it)
            self.torn_transactions += 1
        self._database.close()
        self._database = None
        files.write(self._path)
        self._waiting.clear()
        self._free_at = self.stalled_until = 0.0

    def rot(self, rng: Random) -> None:
        """A bit that was safely on the disk is wrong. Only for a server that is down."""
        assert self._database is None
        files = Files.read(self._path)
        used = [at for at, byte in enumerate(files.database) if byte]
        Files(flipped(files.database, [rng.choice(used)], rng), files.wal, files.mark).write(self._path)
        self._rotten = True

    def start(self) -> RestoredState:
        """What is on it. Raises `DiskUnusable` where a bit has rotted, and only there."""
        if self._database is None:
            try:
                self._database = self._open()
                restored = self._database.load()
            except (SwarmletError, UnicodeDecodeError, MemoryError) as error:
                check(self._rotten, "a torn write is no damage", error)
                self.close()
                raise DiskUnusable(str(error)) from error
            self._compare(restored)
        return self.durable.restored()

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> LogDatabase:
        database = LogDatabase.open(self._path)
        database._connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}")
        return database

    def _compare(self, restored: RestoredState) -> None:
        """What was synced is there; what was being written is there as a whole or not at all."""
        candidates = [self._may_be[-1]] if self._must_be else [*reversed(self._may_be), self.durable]
        found = next((image for image in candidates if image.restored() == restored), None)
        if found is None and self._rotten:
            self.close()
            raise DiskUnusable("it has lost what was on it, and nobody noticed but the simulation")
        check(found is not None, "what was synced is on the disk", restored, self.durable.restored(), self._may_be)
        assert found is not None
        self.durable, self._must_be = found, False
