"""Profiles: what goes wrong in a run, and how often. A seed decides when and to whom."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Rates are per virtual second, for the whole cluster."""

    size: int = 5
    voters: int = 3
    duration_s: float = 12.0
    loss_max: float = 0.0
    repetition_max: float = 0.0
    delay_max_s: float = 0.01
    partitions: float = 0.0
    crashes: float = 0.0
    power_cuts: float = 0.0
    """All servers at once."""
    rot: float = 0.0
    """The chance that a bit on a crashed server's disk is wrong when it starts."""
    sleeps: float = 0.0
    stalls: float = 0.0
    slow_disks: float = 0.0
    changes: float = 0.0
    transfers: float = 0.0
    doubts: float = 0.0
    """Servers that are told, mostly wrongly, that their leader's process is gone."""
    lease_reads: bool = False
    compactions: float = 0.0
    moves: float = 0.0
    """Addresses that change."""
    upgrades: float = 0.0
    """Rolling ones, from the present version of the protocol to a later one and back, some with other settings."""
    backups: float = 0.0
    watchers: int = 1
    clients: int = 4
    think_max_s: float = 0.5


PROFILES = {
    "lossy-links": Profile(loss_max=0.3, repetition_max=0.3, delay_max_s=0.2, changes=0.3, transfers=0.1),
    "partitions": Profile(loss_max=0.05, partitions=0.8, transfers=0.2, voters=5),
    "crashes": Profile(crashes=1.0, stalls=0.2, slow_disks=0.2, loss_max=0.05, power_cuts=0.05),
    "bit-rot": Profile(size=5, voters=5, crashes=1.0, rot=0.3, loss_max=0.05, slow_disks=0.1),
    "membership": Profile(size=6, changes=4.0, crashes=0.2, transfers=0.4, partitions=0.2),
    "sleepers": Profile(sleeps=0.7, partitions=1.0, transfers=0.3, clients=6, think_max_s=0.3),
    "doubters": Profile(doubts=4.0, partitions=0.4, crashes=0.3, delay_max_s=0.05, clients=6, think_max_s=0.3),
    "leases": Profile(
        lease_reads=True, sleeps=0.7, partitions=0.7, crashes=0.3, transfers=0.4, doubts=0.3, changes=0.5, clients=6
    ),
    "contention": Profile(
        clients=12, think_max_s=0.1, duration_s=6.0, loss_max=0.1, crashes=0.3, partitions=0.3, transfers=0.5
    ),
    "snapshots": Profile(
        compactions=3.0,
        repetition_max=0.6,
        delay_max_s=0.4,
        loss_max=0.05,
        partitions=0.8,
        crashes=0.2,
        clients=8,
        think_max_s=0.15,
    ),
    "maintenance": Profile(
        crashes=0.3, partitions=0.2, compactions=2.0, backups=0.6, watchers=5, moves=0.4, changes=0.3, transfers=0.2
    ),
    "upgrade": Profile(upgrades=0.3, crashes=0.2, partitions=0.2, loss_max=0.1, transfers=0.2, changes=0.3),
    "addresses": Profile(moves=1.5, partitions=0.2, crashes=0.3, changes=0.3, transfers=0.2, loss_max=0.05),
    "everything": Profile(
        size=6,
        voters=4,
        loss_max=0.2,
        repetition_max=0.2,
        delay_max_s=0.1,
        partitions=0.4,
        crashes=0.4,
        power_cuts=0.03,
        sleeps=0.2,
        stalls=0.2,
        slow_disks=0.1,
        changes=1.0,
        transfers=0.3,
        doubts=1.0,
        compactions=0.5,
        moves=0.2,
        upgrades=0.05,
        backups=0.2,
        watchers=3,
    ),
}
