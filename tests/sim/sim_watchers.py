"""Slow watchers: they come by now and then, at this server or that, and must never miss a change.

What a watcher has put together from changes is, at its revision, what the store was at that revision. Where changes are
compacted it is told so, reads everything, and goes on from there.
"""

from random import Random
from typing import TYPE_CHECKING

from sim_machine import Content, content_of
from sim_violation import check

from swarmlet.store import Change, Compacted, Store, StoredObject

if TYPE_CHECKING:
    from sim_cluster import SimCluster


class Watcher:
    def __init__(self, cluster: "SimCluster", pause_max_s: float) -> None:
        self.compacted = self.resumed = 0
        self._cluster = cluster
        self._rng = Random(cluster.rng.random())
        self._pause_max_s = pause_max_s
        self._revision = 0
        self._content: Content = {}
        self._stopped = False

    def start(self) -> None:
        self._cluster.timeline.after(self._rng.uniform(0, self._pause_max_s), self._look)

    def stop(self) -> None:
        self._stopped = True

    def _look(self) -> None:
        if self._stopped:
            return
        running = [server for server in self._cluster.servers.values() if server.is_awake]
        if running:
            self._take(self._rng.choice(running).machine.store)
        self._cluster.timeline.after(self._rng.uniform(0, self._pause_max_s), self._look)

    def _take(self, store: Store) -> None:
        try:
            changes = store.changes_since(self._revision)
        except Compacted:
            self.compacted += 1
            if store.revision < self._revision:
                return  # this server is behind what the watcher has seen: another one may help
            self._content, self._revision = content_of(store), store.revision
            self._check()
            return
        for change in changes:
            self._follow(change)
        if changes:
            self.resumed += 1
            self._revision = changes[-1].revision
            self._check()

    def _follow(self, change: Change) -> None:
        check(change.revision >= self._revision, "a watch goes forward", change.revision, self._revision)
        if change.value is None:
            self._content.pop(change.key, None)
            return
        known = self._content.get(change.key)
        created = known.created_revision if known else change.revision
        self._content[change.key] = StoredObject(change.key, change.value, created, change.revision)

    def _check(self) -> None:
        expected = self._cluster.invariants.reference.content_at(self._revision)
        check(self._content == expected, "a watch has no gap", self._revision, self._content, expected)
