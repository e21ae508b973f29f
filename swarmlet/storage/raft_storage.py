"""The durable Raft log: takes writes without waiting, syncs all that are queued as one, and says when they are safe.

Rules:
- One thread writes; what queues up while it syncs goes into the next transaction (group commit), in order.
- `on_done` is called in that thread, once for each write, in order, and must not block.
- After a failed write every later one fails with the same error, until the storage is opened and loaded anew:
  a log must not have a hole, and after a failed fsync only what is read back is known to be on the disk.
"""

import errno
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import structlog

from swarmlet.raft import Persist, RestoredState
from swarmlet.storage.errors import DamagedLog, StorageFailed, StorageFull, StorageInUse, StorageOverloaded
from swarmlet.storage.lineage import Lineage
from swarmlet.storage.log_database import SIZE_BYTES_MAX, LogDatabase, typed
from swarmlet.storage.progress import SYNC_INTERVAL_S

OnDone = Callable[[int, BaseException | None], None]

QUEUE_MAX = 16_384
"""Writes that wait for the disk. Raft keeps few under way; more than this means that the disk has stopped."""
GROUP_MAX = 1_024
"""Writes in one transaction: bounds how long the first of them waits for the last."""

ROOM_BYTES = 256 * 1024
"""After a failure the storage is not used again before there is this much room: many writes of ordinary size."""

log = structlog.get_logger()


OnStaged = Callable[[BaseException | None], object]


class _Staging(NamedTuple):
    last_index: int
    position: int
    pieces: Sequence[bytes]
    on_done: OnStaged


class _Write(NamedTuple):
    persist: Persist
    on_done: OnDone


class RaftStorage:
    """Made by `open`. `load` and `initialize` block; `write` never does."""

    def __init__(
        self, path: Path, database: LogDatabase, queue_max: int = QUEUE_MAX, size_bytes_max: int = SIZE_BYTES_MAX
    ) -> None:
        self.path = path
        self._database = database
        self._database_lock = threading.Lock()
        self._queue_max = queue_max
        self._size_bytes_max = size_bytes_max
        self._queue: deque[_Write] = deque()
        self._staging: deque[_Staging] = deque()
        self._queued = threading.Condition()
        self._closing = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="raft-storage", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path, size_bytes_max: int = SIZE_BYTES_MAX) -> "RaftStorage":
        """Raises `StorageInUse`, `NewerFormat`, `DamagedLog` and `StorageFailed`."""
        return cls(path, LogDatabase.open(path, size_bytes_max), size_bytes_max=size_bytes_max)

    @property
    def failure(self) -> BaseException | None:
        """Why nothing is written any more; None while all is well."""
        return self._failure

    def load(self) -> RestoredState:
        """What is on the disk; empty for a new log. Raises `DamagedLog` and `StorageFailed`."""
        with self._database_lock:
            return self._database.load()

    def reopen(self) -> RestoredState:
        """After a failure, and when all writes were reported: begin anew with what is really on the disk.

        Raises what `open` and `load` raise, `StorageFull` also while there is less room than `ROOM_BYTES`; the
        storage is then as it was, and may be opened anew later. Blocks.
        """
        with self._database_lock:
            self._check_room()
            self._database.close()
            self._database = LogDatabase.open(self.path, self._size_bytes_max)
            restored = self._database.load()
            self._database.check_room(ROOM_BYTES)
        self._failure = None
        return restored

    def _check_room(self) -> None:
        """What was refused once will be again while the disk has hardly any room: find out without using the log."""
        probe = self.path.with_name(self.path.name + ".probe")
        try:
            try:
                descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(bytes(ROOM_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            kind = StorageFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageFailed
            raise kind(self.path, error.strerror or str(error)) from error

    def is_empty(self) -> bool:
        """Whether nothing was ever written to it."""
        with self._database_lock:
            return self._database.is_empty()

    def initialize(self, restored: RestoredState, lineage: Lineage) -> None:
        """Write the first state of a node that has none, and wait until it is synced. Raises `StorageFailed`."""
        with self._database_lock:
            self._database.initialize(restored, lineage)

    def change(self, persist: Persist, lineage: Lineage) -> None:
        """Write past the agent, which must not run: for recovery. Raises `StorageFailed`."""
        with self._database_lock:
            self._database.lineage, self._database.lost_tail = lineage, None
            self._database.change(persist)

    @property
    def lineage(self) -> Lineage:
        """Which log it is, once it was loaded."""
        return self._database.lineage

    def adopt(self, lineage: Lineage) -> None:
        """For an empty log: it becomes a copy of that one. On disk with the next write, which is the first."""
        self._database.lineage = lineage

    def forget_lost_tail(self) -> None:
        """The server has caught up. On disk with the next write."""
        self._database.lost_tail = None

    def write(self, persist: Persist, on_done: OnDone) -> None:
        """Queue a write; `on_done(sequence, error)` follows when it is synced, or when it failed."""
        with self._queued:
            assert not self._closing, "the storage is closed"
            if len(self._queue) >= self._queue_max and self._failure is None:
                self._fail(StorageOverloaded(self.path, f"{self._queue_max} writes are waiting for the disk"))
            self._queue.append(_Write(persist, on_done))
            self._queued.notify()

    def stage(self, last_index: int, position: int, pieces: Sequence[bytes], on_done: OnStaged) -> None:
        """Queue pieces of a snapshot that is being made, to be written between the log's writes.

        `position` is the first one's number among the snapshot's pieces. A snapshot of that index whose pieces were
        all staged is then written at once. `on_done(error)` follows in the storage's thread, as for `write`.
        """
        with self._queued:
            assert not self._closing, "the storage is closed"
            self._staging.append(_Staging(last_index, position, pieces, on_done))
            self._queued.notify()

    def close(self) -> None:
        """Sync what is queued, then close. Blocks until it is done."""
        with self._queued:
            self._closing = True
            self._queued.notify()
        self._thread.join()
        with self._database_lock:
            self._database.close()

    def __enter__(self) -> "RaftStorage":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # In the storage's own thread

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            if group:
                error = self._failure or self._commit(group)
                for write in group:
                    self._report(write, error)
            if self._has_work_between:
                self._do_some_between()
            elif not group:
                self._sync_mark()

    def _next_group(self) -> list[_Write] | None:
        """Waits for work; empty when it is no write of the log, None when the storage closes and all are done."""
        with self._queued:
            timeout_s = None if self._failure or self._database.mark_is_synced else SYNC_INTERVAL_S
            self._queued.wait_for(lambda: self._queue or self._closing or self._has_work_between, timeout_s)
            if self._closing and not (self._queue or self._staging):
                return None
            group = list(islice(self._queue, GROUP_MAX))
            for _ in group:
                self._queue.popleft()
            return group

    def _commit(self, group: list[_Write]) -> BaseException | None:
        return self._attempt(lambda database: database.write(write.persist for write in group))

    def _attempt(self, work: Callable[[LogDatabase], None]) -> BaseException | None:
        try:
            with self._database_lock:
                work(self._database)
        except sqlite3.Error as error:
            return self._fail(typed(self.path, error))
        except OSError as error:
            return self._fail(StorageFailed(self.path, error.strerror or str(error)))
        except Exception as error:  # noqa: BLE001 - what was not written must be reported, whatever the reason
            return self._fail(StorageFailed(self.path, repr(error)))
        return None

    @property
    def _has_work_between(self) -> bool:
        return bool(self._staging) or (self._database.has_unused and self._failure is None)

    def _do_some_between(self) -> None:
        """Little at once, so that the log's writes never wait long for it."""
        if self._staging:
            staging = self._staging.popleft()
            error = self._failure or self._attempt(
                lambda database: database.stage(staging.last_index, staging.position, staging.pieces)
            )
            try:
                staging.on_done(error)
            except Exception:  # as for a write's listener
                log.exception("log_listener_failed", snapshot=staging.last_index)
        elif self._has_work_between and not self._closing:
            self._attempt(LogDatabase.drop_unused)

    def _sync_mark(self) -> None:
        try:
            with self._database_lock:
                self._database.sync_mark()
        except OSError as error:
            self._fail(StorageFailed(self.path, error.strerror or str(error)))

    def _fail(self, failure: StorageFailed | StorageInUse | DamagedLog) -> BaseException:
        self._failure = failure
        log.error("log_write_failed", file=str(self.path), error=str(failure))
        return failure

    def _report(self, write: _Write, error: BaseException | None) -> None:
        try:
            write.on_done(write.persist.sequence, error)
        except Exception:  # whatever the listener does, the writes after it have to be reported
            log.exception("log_listener_failed", sequence=write.persist.sequence)
