"""The replicated state machine: every peer applies the same log to one of these.

Rules:
- The state depends on the applied transactions and their order alone.
- A transaction is applied whole or not at all, and one that changes something makes exactly one revision.
  Writing a value that is there already is a change (as in etcd); deleting what is not there is none.
- Where a transaction names a key several times, the last operation counts.
- A request that was applied before is answered from memory and changes nothing, whether it had succeeded or not.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swarmlet.model.pieces import SnapshotData, pieces_of
from swarmlet.model.transaction import Put, Transaction
from swarmlet.store.hashing import MODULUS, object_digest, state_digest
from swarmlet.store.history import History
from swarmlet.store.objects import FAILED_MAX, Change, StoredObject, TransactionResult, object_size_bytes
from swarmlet.store.requests import RequestTable
from swarmlet.store.snapshot import ClientRow, SnapshotHead, SnapshotReader, UnreadableSnapshot, encoded

_Row = tuple[bytes, int, int, int]
"""An object as it is kept: value, created revision, modified revision, digest. A plain tuple of plain values, because
the garbage collector leaves those alone: a hundred thousand objects of a class would cost it tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class StoreView:
    """A store as it was at one moment, whatever is applied to it since. Taking it costs a copy of references."""

    applied_index: int
    revision: int
    _keys: list[str]
    _rows: dict[str, _Row]
    _requests: RequestTable

    def pieces(self) -> Iterator[bytes]:
        """The snapshot of it, made piece by piece as they are asked for."""
        head = SnapshotHead(self.applied_index, self.revision, len(self._keys), len(self._requests))
        return encoded(head, self._objects(), self._requests)

    def _objects(self) -> Iterator[StoredObject]:
        for key in self._keys:
            value, created, modified, _ = self._rows[key]
            yield StoredObject(key, value, created, modified)


class Store:
    def __init__(self) -> None:
        self.revision = 0
        self.applied_index = 0
        """Log index of the last transaction applied."""
        self.size_bytes = 0
        """Of all objects, as `object_size_bytes` counts."""
        self._rows: dict[str, _Row] = {}
        self._sorted_keys: list[str] = []
        self._requests = RequestTable()
        self._history = History()
        self._hash = 0

    @property
    def object_count(self) -> int:
        return len(self._rows)

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
            if value is not None or key in self._rows
        ]
        if changes:
            self.revision = revision
            for change in changes:
                self._take(change)
            self._history.record(changes)
        return TransactionResult(succeeded=True, revision=self.revision)

    def _modified(self, key: str) -> int:
        found = self._rows.get(key)
        return found[2] if found else 0

    def _take(self, change: Change) -> None:
        key = change.key
        known = self._rows.get(key)
        if known is not None:
            self.size_bytes -= object_size_bytes(key, known[0])
            self._hash -= known[3]
        if change.value is None:
            del self._rows[key]
            del self._sorted_keys[bisect_left(self._sorted_keys, key)]
        else:
            if known is None:
                insort(self._sorted_keys, key)
            self._keep(key, change.value, known[1] if known else change.revision, change.revision)
        self._hash %= MODULUS

    def _keep(self, key: str, value: bytes, created: int, modified: int) -> None:
        digest = object_digest(key, value, created, modified)
        self._rows[key] = (value, created, modified, digest)
        self._hash += digest
        self.size_bytes += object_size_bytes(key, value)

    # Reading

    def get(self, key: str) -> StoredObject | None:
        row = self._rows.get(key)
        return StoredObject(key, row[0], row[1], row[2]) if row else None

    def size_bytes_of(self, key: str) -> int:
        """What an object counts for in `size_bytes`; 0 where there is none."""
        row = self._rows.get(key)
        return object_size_bytes(key, row[0]) if row else 0

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
            row = self._rows[key]
            found.append(StoredObject(key, row[0], row[1], row[2]))
        return found

    def changes_since(self, revision: int) -> list[Change]:
        """All changes after a revision, in order; none for one that this replica has not reached yet.

        Raises `Compacted` when some of them are no longer kept.
        """
        return self._history.since(revision)

    def state_hash(self) -> str:
        """Equal on replicas that applied the same transactions: of all objects, remembered requests, the revision."""
        return state_digest(self.revision, self._hash, self._requests.hash)

    # Snapshots

    def _adopt(self, objects: Iterable[StoredObject]) -> None:
        """Objects of a snapshot, in their order."""
        keys = self._sorted_keys
        for found in objects:
            if keys and found.key <= keys[-1]:
                raise UnreadableSnapshot(f"its objects are not in order at {found.key!r}")
            keys.append(found.key)
            self._keep(found.key, found.value, found.created_revision, found.modified_revision)
        self._hash %= MODULUS

    def _complete(self, head: SnapshotHead, clients: Iterable[ClientRow]) -> None:
        self.revision, self.applied_index = head.revision, head.applied_index
        self._requests = RequestTable(clients)
        self._history = History(floor=head.revision)

    def view(self) -> StoreView:
        return StoreView(
            self.applied_index, self.revision, self._sorted_keys.copy(), self._rows.copy(), self._requests.copy()
        )

    def snapshot(self) -> bytes:
        """All of it at once. Where it may be large, take a `view` and its pieces one by one."""
        return b"".join(self.view().pieces())

    @classmethod
    def restore(cls, data: SnapshotData) -> "Store":
        """Raises `UnreadableSnapshot`."""
        restoring = Restoring()
        for piece in pieces_of(data):
            restoring.feed(piece)
        return restoring.finish()


class Restoring:
    """Makes a store from a snapshot, piece by piece. Both methods raise `UnreadableSnapshot`."""

    def __init__(self) -> None:
        self._reader = SnapshotReader()
        self._store = Store()
        self._clients: list[ClientRow] = []

    def feed(self, piece: bytes) -> None:
        objects, clients = self._reader.feed(piece)
        self._clients += clients
        self._store._adopt(objects)

    def finish(self) -> Store:
        """After the last piece."""
        head = self._reader.finish()
        self._store._complete(head, self._clients)
        return self._store
