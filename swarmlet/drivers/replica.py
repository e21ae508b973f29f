"""This peer's copy of desired state, typed, and the signal that it changed."""

from collections.abc import Iterable

from swarmlet.drivers.signal import Signal
from swarmlet.model.state import ClusterState
from swarmlet.store import Change, Store


class Replica:
    def __init__(self, store: Store) -> None:
        self.changed = Signal()
        self.reset(store)

    def reset(self, store: Store) -> None:
        """Start over from a store that was replaced as a whole (a snapshot was installed)."""
        objects = ((found.key, found.value, found.modified_revision) for found in store.scan(""))
        self.store = store
        self.state = ClusterState.of(objects, store.revision)
        self.changed.set()

    def take(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.value is None:
                self.state.delete(change.key, change.revision)
            else:
                self.state.put(change.key, change.value, change.revision)
        self.changed.set()
