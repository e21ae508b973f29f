"""The real store as a server's state machine, and the one that says what every other must be: the reference."""

from swarmlet.raft import Entry, EntryKind, Snapshot
from swarmlet.store import Store, StoredObject, TransactionResult, decode_transaction

HISTORY_CHANGES_MAX = 30
"""So few that slow watchers find them compacted."""


class Machine:
    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.store = Store()
        self.index = 0
        if snapshot is not None:
            self.install(snapshot)
        self._limit_history()

    def apply(self, entry: Entry) -> TransactionResult | None:
        assert entry.index == self.index + 1, "in order, each once"
        self.index = entry.index
        if entry.kind is not EntryKind.NORMAL:
            return None
        return self.store.apply(entry.index, decode_transaction(entry.data))

    def snapshot(self) -> bytes:
        return self.store.snapshot()

    def install(self, snapshot: Snapshot) -> None:
        self.store = Store.restore(snapshot.data)
        self.index = snapshot.last_index
        self._limit_history()

    def _limit_history(self) -> None:
        self.store._history._changes_max = HISTORY_CHANGES_MAX


Content = dict[str, StoredObject]


class Reference(Machine):
    """Applies each committed entry once, when the first server does, and remembers every state that there was."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[int, TransactionResult | None] = {}
        self._hashes: dict[int, str] = {0: self.store.state_hash()}
        self._contents: dict[int, Content] = {0: {}}

    def begin(self, snapshot: Snapshot) -> None:
        """With a state that there was before the log."""
        self.install(snapshot)
        self._remember()

    def learn(self, entry: Entry) -> None:
        if entry.index <= self.index:
            return
        self.results[entry.index] = self.apply(entry)
        self._remember()

    def _remember(self) -> None:
        self._hashes[self.index] = self.store.state_hash()
        self._contents[self.store.revision] = content_of(self.store)

    def hash_at(self, index: int) -> str:
        return self._hashes[index]

    def content_at(self, revision: int) -> Content:
        return self._contents[revision]


def content_of(store: Store) -> Content:
    return {found.key: found for found in store.scan("")}
