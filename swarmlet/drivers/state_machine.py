"""Applies what is committed to the store, and keeps this peer's typed copy of it.

Rules:
- It only goes forward: an entry that it has applied already is passed over, so that a Raft core which was made anew
  from the disk may tell it again what is committed.
- While a received snapshot is being read, what follows it is kept and applied when it is in place; the old state is
  there to be read until then.
- A snapshot is due when enough entries were applied since the last one, or enough bytes: large entries would fill
  the memory long before there are many.
"""

from collections.abc import Callable, Iterable

from swarmlet.drivers.replica import Replica
from swarmlet.drivers.signal import Signal
from swarmlet.drivers.watermark import Watermark
from swarmlet.model.transaction import Transaction
from swarmlet.raft import Entry, EntryKind, Snapshot
from swarmlet.store import Change, Store, TransactionResult, decode_transaction
from swarmlet.store.agreement import HASH_EVERY, HashPoint, HashTrail

SNAPSHOT_AFTER_BYTES = 64 * 1024 * 1024

OnApplied = Callable[[Entry, TransactionResult | None], None]


class StateMachine:
    def __init__(self, snapshot: Snapshot | None, snapshot_every: int, on_applied: OnApplied) -> None:
        """`on_applied` hears of each entry when it is applied, with its result where it is a transaction."""
        self.applied = Signal()
        self.store = Store.restore(snapshot.data) if snapshot else Store()
        self.replica = Replica(self.store)
        self.applied_index = snapshot.last_index if snapshot else 0
        self.index_reached = Watermark(self.applied_index)
        self.revision_reached = Watermark(self.store.revision)
        self.received: Snapshot | None = None
        """A leader's snapshot that is not in place yet."""
        self.epoch = 0
        """Counts how often the state was replaced as a whole."""
        self.trail = HashTrail()
        self.distrusted = False
        """Others hold another state than this one: it is not to be written to disk."""
        self._snapshot_wanted = False
        self._on_applied = on_applied
        self._waiting: list[Entry] = []
        """What comes after the received snapshot."""
        self._snapshot_every = snapshot_every
        self._snapshot_index = self.applied_index
        self._bytes_since_snapshot = 0
        self._expected: dict[int, tuple[int, Transaction]] = {}

    def apply(self, entries: Iterable[Entry]) -> None:
        if self.received is not None:
            self._waiting.extend(entries)
            return
        changes: list[Change] = []
        for entry in entries:
            if entry.index <= self.applied_index:
                continue
            result = None
            if entry.kind is EntryKind.NORMAL:
                before = self.store.revision
                result = self.store.apply(entry.index, self._transaction(entry))
                changes += self.store.changes_since(before)  # one by one: the history may be shorter than a batch
                self._bytes_since_snapshot += len(entry.data)
            self.applied_index = entry.index
            if entry.index % HASH_EVERY == 0:
                self.trail.reached(HashPoint(entry.index, entry.term, self.store.state_hash()))
            self._on_applied(entry, result)
        if changes:
            self.replica.take(changes)
        self._progressed()

    def _progressed(self) -> None:
        self.index_reached.advance(self.applied_index)
        self.revision_reached.advance(self.store.revision)
        self.applied.set()

    def expect(self, index: int, term: int, transaction: Transaction) -> None:
        """What the entry will carry, from whoever has decoded it already."""
        self._expected[index] = (term, transaction)

    def _transaction(self, entry: Entry) -> Transaction:
        # An index and a term name one entry for ever (log matching, §5.3).
        term, transaction = self._expected.pop(entry.index, (0, None))
        return transaction if transaction is not None and term == entry.term else decode_transaction(entry.data)

    # Replacing everything

    def receive(self, snapshot: Snapshot) -> None:
        """A leader's snapshot came; `install` follows when it is read."""
        self.received = snapshot
        self._waiting.clear()
        self.applied.set()

    def install(self, snapshot: Snapshot, store: Store) -> None:
        waiting, self._waiting, self.received = self._waiting, [], None
        self._replace(store, snapshot.last_index)
        self.snapshot_taken(snapshot.last_index)
        self.apply(waiting)

    def heal(self, store: Store) -> None:
        """Put another state in place of a wrong one; it holds all that was applied here. It goes to disk at once."""
        assert self.received is None, "a leader's snapshot comes first"
        self._replace(store, self.applied_index)
        self._snapshot_wanted = True
        self._progressed()

    def _replace(self, store: Store, index: int) -> None:
        self.store, self.applied_index = store, index
        self.epoch += 1
        self.trail.clear()
        self.distrusted = False
        self._expected.clear()
        self.replica.reset(store)

    # Snapshots

    @property
    def snapshot_is_due(self) -> bool:
        entries = self.applied_index - self._snapshot_index
        if self.distrusted or entries == 0:
            return False
        enough = entries >= self._snapshot_every or self._bytes_since_snapshot >= SNAPSHOT_AFTER_BYTES
        return enough or self._snapshot_wanted

    def snapshot_taken(self, index: int) -> None:
        self._snapshot_index = index
        self._snapshot_wanted = False
        self._bytes_since_snapshot = 0
