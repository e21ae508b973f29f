"""One whole run: a cluster forms, faults happen, they end, and it has to recover; then its history is examined."""

from dataclasses import dataclass, fields, replace
from itertools import chain

from lin_register import check_register
from sim_backups import check_restored, first_state
from sim_cluster import SMALL, SimCluster
from sim_faults import Faults
from sim_profiles import Profile
from sim_violation import Violation

from swarmlet.model.ids import NodeId

ANSWERED_WITHIN_S = 10.0
CHUNK_BYTES = (128, 4096)
"""Snapshots in several chunks, and in one."""


@dataclass(slots=True)
class Tally:
    """What runs did, so that one can tell whether they are worth anything."""

    schedules: int = 0
    virtual_seconds: float = 0.0
    elections: int = 0
    entries: int = 0
    joint_memberships: int = 0
    snapshots_installed: int = 0
    crashes: int = 0
    torn_transactions: int = 0
    damaged_disks: int = 0
    upgrades: int = 0
    backups: int = 0
    watches_resumed: int = 0
    watches_compacted: int = 0
    reads: int = 0
    writes: int = 0

    def add(self, other: "Tally") -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


@dataclass(frozen=True, slots=True)
class Schedule:
    tally: Tally
    trace: list[str]


def run_schedule(profile: Profile, seed: int) -> Schedule:
    """Raises `Violation`, or whatever the code raises, with the end of the trace as a note."""
    settings = replace(SMALL, lease_reads=profile.lease_reads, snapshot_chunk_bytes=CHUNK_BYTES[seed % 2])
    cluster = SimCluster(seed, profile.size, settings, gathering=0.5)
    try:
        cluster.form(profile.voters)
        faults = Faults(cluster, profile)
        faults.run()
        cluster.calm()
        _clients_get_answers(cluster, faults)
        cluster.check_end()
        _check_history(faults)
        if faults.backups.taken:
            _restore(seed, faults)
        return Schedule(_tally(cluster, faults), list(cluster.trace()))
    except Exception as error:
        error.add_note("the last that happened:")
        error.add_note("\n".join(cluster.trace()))
        raise
    finally:
        cluster.close()


def _clients_get_answers(cluster: SimCluster, faults: Faults) -> None:
    before = [client.finished for client in faults.clients]
    cluster.run_until(
        lambda: all(client.finished > count for client, count in zip(faults.clients, before, strict=True)),
        ANSWERED_WITHIN_S,
        "every client gets an answer",
    )
    for actor in (*faults.clients, *faults.watchers):
        actor.stop()


def _check_history(faults: Faults) -> None:
    found = check_register(chain.from_iterable(client.history for client in faults.clients))
    if found is not None:
        raise Violation(f"linearizability: {found}")


def _restore(seed: int, faults: Faults) -> None:
    """The last backup, into a new cluster."""
    backup, first = faults.backups.taken[-1], NodeId("n1")
    cluster = SimCluster(seed, 3, first=first_state(backup, first))
    try:
        cluster.form(3)
        cluster.check_end()
        check_restored(cluster, backup)
    finally:
        cluster.close()


def _tally(cluster: SimCluster, faults: Faults) -> Tally:
    servers, invariants = cluster.servers.values(), cluster.invariants
    return Tally(
        schedules=1,
        virtual_seconds=cluster.timeline.now,
        elections=cluster.elections,
        entries=invariants.applied_index,
        joint_memberships=invariants.joint_memberships,
        snapshots_installed=sum(server.snapshots_installed for server in servers),
        crashes=sum(server.starts - 1 for server in servers),
        torn_transactions=sum(server.disk.torn_transactions for server in servers),
        damaged_disks=sum(server.damaged for server in servers),
        upgrades=faults.upgrades,
        backups=len(faults.backups.taken),
        watches_resumed=sum(watcher.resumed for watcher in faults.watchers),
        watches_compacted=sum(watcher.compacted for watcher in faults.watchers),
        reads=invariants.reads_served,
        writes=invariants.writes_acknowledged,
    )
