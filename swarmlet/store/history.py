"""The latest changes, for watches that resume from a revision. Bounded; what is older is compacted away.

Rules:
- Whole transactions are dropped, oldest first, so that no reader ever sees half of one.
- The floor is the newest revision whose changes are gone: a reader that has seen the floor misses nothing.
- It is no part of what replicas agree on: one that was restored from a snapshot begins with an empty history.
"""

from collections import deque
from collections.abc import Iterable

from swarmlet.errors import SwarmletError
from swarmlet.store.objects import Change

CHANGES_MAX = 10_000
SIZE_BYTES_MAX = 64 * 1024 * 1024
CHANGE_OVERHEAD_BYTES = 200
"""What a change costs beside its key, value and reason, roughly: the objects around them."""


class Compacted(SwarmletError):
    """The changes asked for are gone; read everything and go on from its revision."""

    def __init__(self, revision: int, floor: int) -> None:
        super().__init__(f"not all changes after revision {revision} are kept here, only those after {floor}")
        self.revision = revision
        self.floor = floor


class History:
    def __init__(self, floor: int = 0, changes_max: int = CHANGES_MAX, size_bytes_max: int = SIZE_BYTES_MAX) -> None:
        self.floor = floor
        self._changes_max, self._size_bytes_max = changes_max, size_bytes_max
        self._changes: deque[Change] = deque()
        self._size_bytes = 0

    def record(self, changes: Iterable[Change]) -> None:
        """Take over the changes of one transaction, newer than all that are here."""
        for change in changes:
            self._changes.append(change)
            self._size_bytes += _size_bytes(change)
        while len(self._changes) > self._changes_max or self._size_bytes > self._size_bytes_max:
            self._drop_oldest_transaction()

    def since(self, revision: int) -> list[Change]:
        """All changes after a revision, in order. Raises `Compacted` when some of them are gone."""
        if revision < self.floor:
            raise Compacted(revision, self.floor)
        newer: list[Change] = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            newer.append(change)
        newer.reverse()
        return newer

    def _drop_oldest_transaction(self) -> None:
        self.floor = self._changes[0].revision
        while self._changes and self._changes[0].revision == self.floor:
            self._size_bytes -= _size_bytes(self._changes.popleft())


def _size_bytes(change: Change) -> int:
    return CHANGE_OVERHEAD_BYTES + len(change.key) + len(change.value or b"") + len(change.reason)
