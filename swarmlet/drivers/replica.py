"""This peer's copy of desired state, typed, and the signal that it changed."""

from collections.abc import Iterable

import msgpack
import structlog
from pydantic import ValidationError

from swarmlet.drivers.signal import Signal
from swarmlet.model.objects import PREFIXES
from swarmlet.model.state import ClusterState
from swarmlet.store import Change, Store

log = structlog.get_logger()


class Replica:
    def __init__(self, store: Store) -> None:
        self.changed = Signal()
        self.undecodable = 0
        self.reset(store)

    def reset(self, store: Store) -> None:
        """Start over from a store that was replaced as a whole (a snapshot was installed)."""
        self.state = ClusterState()
        for prefix in PREFIXES:
            for found in store.scan(prefix):
                self._put(found.key, found.value, found.modified_revision)
        self.state.revision = store.revision
        self.changed.set()

    def take(self, changes: Iterable[Change]) -> None:
        """Only what the cluster keeps of itself wakes those who look at it; users' own objects do not."""
        is_ours = False
        for change in changes:
            if change.value is None:
                is_ours |= self.state.delete(change.key, change.revision)
            else:
                is_ours |= self._put(change.key, change.value, change.revision)
        if is_ours:
            self.changed.set()

    def _put(self, key: str, value: bytes, revision: int) -> bool:
        """An object that a newer agent wrote in a way that we can't read counts as absent here; the store keeps it."""
        try:
            return self.state.put(key, value, revision)
        except (ValidationError, ValueError, msgpack.UnpackException) as error:
            self.undecodable += 1
            log.error("object_undecodable", key=key, revision=revision, error=str(error))
            return self.state.delete(key, revision)
