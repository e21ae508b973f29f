"""Backups taken from any server while everything else happens, and restored into new clusters.

A backup is the store of a server that has everything acknowledged before the backup began. It is consistent: a state
that the cluster's one log really had. A cluster restored from it begins with that state.
"""

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from sim_service import Refused
from sim_violation import check

from swarmlet.model.ids import NodeId
from swarmlet.raft import HardState, Membership, RestoredState, Snapshot
from swarmlet.store import Store

if TYPE_CHECKING:
    from sim_cluster import SimCluster


@dataclass(frozen=True, slots=True)
class Backup:
    data: bytes
    index: int
    acknowledged_before: int
    """The last revision that a client was told of before the backup began."""


class Backups:
    def __init__(self, cluster: "SimCluster") -> None:
        self.taken: list[Backup] = []
        self._cluster = cluster
        self._rng = Random(cluster.rng.random())

    def begin(self) -> None:
        server = self._rng.choice(list(self._cluster.servers.values()))
        acknowledged = self._cluster.invariants.acknowledged_revision

        def caught_up(store: Store | Refused) -> None:
            if isinstance(store, Store):
                self._take(Backup(store.snapshot(), server.machine.index, acknowledged))

        server.serve(lambda service: service.read(caught_up))

    def _take(self, backup: Backup) -> None:
        restored = Store.restore(backup.data)
        self._check(backup, restored)
        self.taken.append(backup)

    def _check(self, backup: Backup, store: Store) -> None:
        complete = store.revision >= backup.acknowledged_before
        check(complete, "a backup has all that was acknowledged before it", store.revision, backup.acknowledged_before)
        same = store.state_hash() == self._cluster.invariants.reference.hash_at(backup.index)
        check(same, "a backup is a state that there was", backup.index)


def first_state(backup: Backup, node: NodeId) -> RestoredState:
    """Of the only voter of a new cluster that begins with a backup."""
    membership = Membership(voters=frozenset({node}))
    return RestoredState(HardState(1, None), Snapshot(backup.index, 1, membership, backup.data), ())


def check_restored(cluster: "SimCluster", backup: Backup) -> None:
    """Everything in the backup is in the cluster that was made from it, and nothing else."""
    wanted = {found.key: found.value for found in Store.restore(backup.data).scan("")}
    for server in cluster.servers.values():
        found = {found.key: found.value for found in server.machine.store.scan("")}
        found.pop("progress", None)
        wanted.pop("progress", None)
        check(found == wanted, "a restored cluster has what the backup has", server.node_id, found, wanted)
