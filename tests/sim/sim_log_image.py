"""What a log looks like after some writes: the yardstick for the real storage, and what invariants are checked against.

It refuses writes that would leave a hole, as the real storage does.
"""

from collections.abc import Callable

from swarmlet.raft import Entry, HardState, Persist, RestoredState, Snapshot

EMPTY = RestoredState(HardState(0, None), None, ())


class LogImage:
    def __init__(self, restored: RestoredState = EMPTY) -> None:
        self.hard_state = restored.hard_state
        self.snapshot: Snapshot | None = restored.snapshot
        self.entries = {entry.index: entry for entry in restored.entries}

    @property
    def last_index(self) -> int:
        return max(next(reversed(self.entries), 0), self.snapshot.last_index if self.snapshot else 0)

    def term_at(self, index: int) -> int | None:
        if self.snapshot is not None and index == self.snapshot.last_index:
            return self.snapshot.last_term
        entry = self.entries.get(index)
        return entry.term if entry else None

    def covers(self, index: int, term: int) -> bool:
        """Whether this log holds the entry, or a snapshot with it; every log holds the position before the first."""
        if index == 0:
            return True
        if self.snapshot is not None and self.snapshot.last_index >= index:
            return True
        return self.term_at(index) == term

    def carry_out(self, persist: Persist) -> None:
        if persist.hard_state is not None:
            self.hard_state = persist.hard_state
        if persist.truncate_from is not None:
            self._delete(lambda index: index >= (persist.truncate_from or 0))
        for entry in persist.entries:
            self._add(entry, persist.snapshot)
        self.snapshot = persist.snapshot or self.snapshot
        if persist.compact_to is not None:
            self._delete(lambda index: index <= (persist.compact_to or 0))

    def copy(self) -> "LogImage":
        return LogImage(self.restored())

    def restored(self) -> RestoredState:
        return RestoredState(self.hard_state, self.snapshot, tuple(self.entries.values()))

    def _add(self, entry: Entry, arriving: Snapshot | None) -> None:
        assert entry.index not in self.entries, f"entry {entry.index} is written twice"
        previous = next(reversed(self.entries), None)
        snapshot = arriving or self.snapshot
        follows_snapshot = entry.index <= (snapshot.last_index if snapshot else 0) + 1
        assert previous == entry.index - 1 or (previous is None and follows_snapshot), f"hole before {entry.index}"
        self.entries[entry.index] = entry

    def _delete(self, chosen: Callable[[int], bool]) -> None:
        for index in [index for index in self.entries if chosen(index)]:
            del self.entries[index]
