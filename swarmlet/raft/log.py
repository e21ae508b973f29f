"""The log in memory: what follows its start, which compaction moves forward.

`base` is the position just before the first entry that is kept; its term is known, so the first entry can be
checked against it. Everything here costs what it returns or the logarithm of the log's length, never its length
(compaction aside).
"""

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter

from swarmlet.raft.durable import Entry, RestoredState, Snapshot

ENTRY_OVERHEAD_BYTES = 32
"""Roughly what an entry costs beside its data, in memory and on the wire."""


def size_bytes(entry: Entry) -> int:
    return len(entry.data) + ENTRY_OVERHEAD_BYTES


class RaftLog:
    def __init__(self, restored: RestoredState) -> None:
        self.snapshot: Snapshot | None = restored.snapshot
        self.base_index = self.snapshot.last_index if self.snapshot else 0
        self.base_term = self.snapshot.last_term if self.snapshot else 0
        self._entries = list(restored.entries)
        if self._entries and self._entries[-1].index < self.base_index:
            # The log's end was lost; what is left of it ends before the snapshot does and can't be continued.
            self._entries.clear()
        elif self._entries and self._entries[0].index <= self.base_index:
            first = self._entries.pop(0)
            self.base_index, self.base_term = first.index, first.term
        assert not self._entries or self._entries[0].index == self.base_index + 1, "the log has a hole"
        self.persisted_index = self.last_index
        """What is on disk; set by whoever learns of it."""

    @property
    def last_index(self) -> int:
        return self.base_index + len(self._entries)

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self.base_term

    def term_at(self, index: int) -> int | None:
        """None where the log does not reach, on either side."""
        if index == self.base_index:
            return self.base_term
        position = index - self.base_index - 1
        if 0 <= position < len(self._entries):
            return self._entries[position].term
        return None

    def slice(self, first_index: int, last_index: int) -> tuple[Entry, ...]:
        """The entries from first to last, both included; fewer at the log's end."""
        assert first_index > self.base_index, f"entry {first_index} is compacted"
        start = first_index - self.base_index - 1
        return tuple(self._entries[start : max(start, last_index - self.base_index)])

    def batch(self, first_index: int, bytes_max: int, entries_max: int) -> tuple[tuple[Entry, ...], int]:
        """Entries from `first_index` within the limits, at least one if there is one; and their size."""
        start = end = first_index - self.base_index - 1
        stop = min(len(self._entries), start + entries_max)
        total = 0
        while end < stop:
            size = size_bytes(self._entries[end])
            if end > start and total + size > bytes_max:
                break
            total += size
            end += 1
        return tuple(self._entries[start:end]), total

    def last_with_term_at_most(self, index: int, term: int) -> int | None:
        """The last position up to `index` whose term is not above `term`; None when that is before the log."""
        position = min(index, self.last_index) - self.base_index
        if position < 0:
            return None
        found = bisect_right(self._entries, term, 0, position, key=attrgetter("term"))
        if found == 0 and self.base_term > term:
            return None
        return self.base_index + found

    def is_behind(self, last_index: int, last_term: int) -> bool:
        """Whether a log that ends so is at least as up to date as this one (§5.4.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def append(self, entries: Sequence[Entry]) -> None:
        assert entries[0].index == self.last_index + 1, "the log has no holes"
        assert entries[0].term >= self.last_term, "terms never decrease along a log"
        self._entries.extend(entries)

    def truncate(self, from_index: int) -> None:
        assert from_index > self.base_index, "what is compacted was committed"
        del self._entries[from_index - self.base_index - 1 :]
        self.persisted_index = min(self.persisted_index, from_index - 1)

    def compact(self, snapshot: Snapshot, tail_entries: int, tail_bytes_max: int) -> int | None:
        """Take over a snapshot of an applied index and drop what lies before its tail.

        Returns the last index that went, or None when nothing did.
        """
        self.snapshot = snapshot
        new_base = snapshot.last_index
        tail_bytes = 0
        while new_base > max(self.base_index, snapshot.last_index - tail_entries):
            tail_bytes += size_bytes(self._entries[new_base - self.base_index - 1])
            if tail_bytes > tail_bytes_max:
                break
            new_base -= 1
        if new_base == self.base_index:
            return None
        gone = new_base - self.base_index
        self.base_term = self._entries[gone - 1].term
        self.base_index = new_base
        del self._entries[:gone]
        return new_base

    def reset(self, snapshot: Snapshot) -> None:
        """Start over after a snapshot that was received."""
        self.snapshot = snapshot
        self.base_index, self.base_term = snapshot.last_index, snapshot.last_term
        self._entries.clear()
        self.persisted_index = 0
