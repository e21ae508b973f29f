"""The replicated state machine: every peer applies the same log to one of these.

Rules:
- The state depends on the applied transactions and their order alone.
- A transaction is applied whole or not at all, and one that changes something makes exactly one revision.
  Writing a value that is there already is a change (as in etcd); deleting what is not there is none.
- Where a transaction names a key several times, the last operation counts.
- A request that was applied before is answered from memory and changes nothing, whether it had succeeded or not.
"""

import hashlib
from bisect import bisect_left, bisect_right, insort

from swarmlet.model.transaction import Put, Transaction
from swarmlet.store.history import History
from swarmlet.store.objects import FAILED_MAX, Change, StoredObject, TransactionResult
from swarmlet.store.requests import RequestTable
from swarmlet.store.snapshot import StoreSnapshot


class Store:
    def __init__(self) -> None:
        self.revision = 0
        self.applied_index = 0
        """Log index of the last transaction applied."""
        self._objects: dict[str, StoredObject] = {}
        self._sorted_keys: list[str] = []
        self._requests = RequestTable()
        self._history = History()

    # Writing

    def apply(self, index: int, transaction: Transaction) -> TransactionResult:
        """Apply one committed transaction; `index` is its place in the log, which only grows."""
        assert index > self.applied_index, f"entry {index} comes after {self.applied_index} was applied"
        self.applied_index = index
        request = transaction.request
        if request is not None and (earlier := self._requests.earlier_result(request, self.revision)) is not None:
            return earlier
        result = self._execute(transaction)
        if request is not None:
            self._requests.remember(request, result)
        return result

    def _execute(self, transaction: Transaction) -> TransactionResult:
        failed = [compare for compare in transaction.compares if self._modified(compare.key) != compare.revision]
        if failed:
            return TransactionResult(succeeded=False, revision=self.revision, failed=tuple(failed[:FAILED_MAX]))
        written: dict[str, bytes | None] = {}
        for operation in transaction.operations:
            written[operation.key] = operation.value if isinstance(operation, Put) else None
        revision = self.revision + 1
        changes = [
            Change(revision, key, value, transaction.reason)
            for key, value in written.items()
            if value is not None or key in self._objects
        ]
        if changes:
            self.revision = revision
            for change in changes:
                self._take(change)
            self._history.record(changes)
        return TransactionResult(succeeded=True, revision=self.revision)

    def _modified(self, key: str) -> int:
        found = self._objects.get(key)
        return found.modified_revision if found else 0

    def _take(self, change: Change) -> None:
        known = self._objects.get(change.key)
        if change.value is None:
            del self._objects[change.key]
            del self._sorted_keys[bisect_left(self._sorted_keys, change.key)]
            return
        if known is None:
            insort(self._sorted_keys, change.key)
        created = known.created_revision if known else change.revision
        self._objects[change.key] = StoredObject(change.key, change.value, created, change.revision)

    # Reading

    def get(self, key: str) -> StoredObject | None:
        return self._objects.get(key)

    def scan(self, prefix: str, after: str | None = None, limit: int | None = None) -> list[StoredObject]:
        """All objects whose key begins so, sorted by key; an empty prefix gives all there are.

        With `after` only those beyond that key, with `limit` no more than so many.
        """
        found: list[StoredObject] = []
        first = bisect_left(self._sorted_keys, prefix)
        if after is not None:
            first = max(first, bisect_right(self._sorted_keys, after))
        for position in range(first, len(self._sorted_keys)):
            key = self._sorted_keys[position]
            if not key.startswith(prefix) or len(found) == limit:
                break
            found.append(self._objects[key])
        return found

    def changes_since(self, revision: int) -> list[Change]:
        """All changes after a revision, in order; none for one that this replica has not reached yet.

        Raises `Compacted` when some of them are no longer kept.
        """
        return self._history.since(revision)

    def state_hash(self) -> str:
        """Equal on replicas that applied the same transactions. It reads the whole store: for checks, not for loops."""
        content = StoreSnapshot(0, self.revision, self.scan(""), self._requests)
        return hashlib.sha256(content.encode()).hexdigest()

    # Snapshots

    def snapshot(self) -> bytes:
        return StoreSnapshot(self.applied_index, self.revision, self.scan(""), self._requests).encode()

    @classmethod
    def restore(cls, data: bytes) -> "Store":
        """Raises `UnreadableSnapshot`."""
        content = StoreSnapshot.decode(data)
        store = cls()
        store.revision, store.applied_index = content.revision, content.applied_index
        store._objects = {found.key: found for found in content.objects}
        store._sorted_keys = sorted(store._objects)
        store._requests = RequestTable(content.clients)
        store._history = History(floor=content.revision)
        return store
