"""Applies what is committed to the store, and keeps this peer's typed copy of it.

It only goes forward: an entry that it has applied already is passed over, so that a Raft core which was made anew
from the disk may tell it again what is committed.
"""

from collections.abc import Iterable, Iterator

import structlog

from swarmlet.drivers.replica import Replica
from swarmlet.drivers.signal import Signal
from swarmlet.model.transaction import Transaction
from swarmlet.raft import Compact, Entry, EntryKind, Snapshot
from swarmlet.store import Store, TransactionResult, decode_transaction

log = structlog.get_logger()


class StateMachine:
    def __init__(self, snapshot: Snapshot | None, snapshot_every: int) -> None:
        self.applied = Signal()
        self.store = Store.restore(snapshot.data) if snapshot else Store()
        self.replica = Replica(self.store)
        self.applied_index = snapshot.last_index if snapshot else 0
        self._compacted_index = self.applied_index
        self._snapshot_every = snapshot_every
        self._expected: dict[int, tuple[int, Transaction]] = {}

    def apply(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, TransactionResult | None]]:
        """Applies each that is new, and yields it with its result; the caller takes all of them."""
        before = self.store.revision
        for entry in entries:
            if entry.index <= self.applied_index:
                continue
            result = None
            if entry.kind is EntryKind.NORMAL:
                result = self.store.apply(entry.index, self._transaction(entry))
            self.applied_index = entry.index
            yield entry, result
        if self.store.revision > before:
            self.replica.take(self.store.changes_since(before))
        self.applied.set()

    def expect(self, index: int, term: int, transaction: Transaction) -> None:
        """What the entry will carry, from whoever has decoded it already."""
        self._expected[index] = (term, transaction)

    def _transaction(self, entry: Entry) -> Transaction:
        # An index and a term name one entry for ever (log matching, §5.3).
        term, transaction = self._expected.pop(entry.index, (0, None))
        return transaction if transaction is not None and term == entry.term else decode_transaction(entry.data)

    def install(self, snapshot: Snapshot) -> None:
        """Replace everything by what a leader sent."""
        self.store = Store.restore(snapshot.data)
        self.applied_index = self._compacted_index = snapshot.last_index
        self._expected.clear()
        self.replica.reset(self.store)
        self.applied.set()
        log.info("snapshot_installed", index=snapshot.last_index, revision=self.store.revision)

    def compaction(self) -> Compact | None:
        """A snapshot, when enough was applied since the last one."""
        if self.applied_index - self._compacted_index < self._snapshot_every:
            return None
        self._compacted_index = self.applied_index
        return Compact(self.applied_index, self.store.snapshot())
