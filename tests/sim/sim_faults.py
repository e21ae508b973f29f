"""What happens to a cluster in a run, as its profile says: faults, and the maintenance that goes on meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from sim_backups import Backups
from sim_clients import Client
from sim_cluster import SimCluster, running
from sim_profiles import Profile
from sim_server import SimServer
from sim_watchers import Watcher

from swarmlet.model.ids import NodeId
from swarmlet.raft import (
    AddLearner,
    ChangeVoters,
    Compact,
    Demote,
    LeaderUnreachable,
    MembershipChange,
    Promote,
    RaftSettings,
    Remove,
    TransferLeadership,
)

CHANGES: tuple[Callable[[NodeId], MembershipChange], ...] = (AddLearner, AddLearner, Promote, Promote, Demote, Remove)
JOINT_CHANGES = 0.4
"""So many of the changes are of several voters at once; many are refused, since not all are learners."""
SLOW_DISK_LATENCY_S = 0.15


class Faults:
    def __init__(self, cluster: SimCluster, profile: Profile) -> None:
        self.clients = [Client(f"c{number}", cluster, profile.think_max_s) for number in range(profile.clients)]
        self.watchers = [Watcher(cluster, pause_max_s=2.0) for _ in range(profile.watchers)]
        self.backups = Backups(cluster)
        self.upgrades = 0
        self._cluster, self._profile = cluster, profile
        self._rng = Random(cluster.rng.random())
        self._upgrading = False
        self._ended = False

    def run(self) -> None:
        """Lets it all happen for the profile's duration."""
        profile, rng, network = self._profile, self._rng, self._cluster.network
        network.loss = rng.uniform(0, profile.loss_max)
        network.repetition = rng.uniform(0, profile.repetition_max)
        network.delay_max_s = max(0.001, rng.uniform(0, profile.delay_max_s))
        for actor in (*self.clients, *self.watchers):
            actor.start()
        for rate, happening in (
            (profile.partitions, self._partition),
            (profile.crashes, lambda: self._crash(self._any())),
            (profile.power_cuts, self._cut_power),
            (profile.sleeps, lambda: self._any().sleep(rng.uniform(0.1, 5.0))),
            (profile.stalls, self._stall),
            (profile.slow_disks, self._slow_down),
            (profile.changes, self._change),
            (profile.transfers, self._transfer),
            (profile.doubts, self._doubt),
            (profile.compactions, lambda: self._compact(self._any())),
            (profile.moves, self._move),
            (profile.upgrades, self._upgrade),
            (profile.backups, self.backups.begin),
        ):
            if rate:
                self._repeat(rate, happening)
        self._cluster.run(profile.duration_s)
        self._ended = True

    def _repeat(self, rate: float, happening: Callable[[], None]) -> None:
        def again() -> None:
            if not self._ended:
                happening()
                self._cluster.timeline.after(self._rng.expovariate(rate), again)

        self._cluster.timeline.after(self._rng.expovariate(rate), again)

    def _any(self) -> SimServer:
        """Any server, the leader more often than others."""
        leader = self._cluster.leader()
        if leader is not None and self._rng.random() < 0.4:
            return leader
        return self._rng.choice(list(self._cluster.servers.values()))

    # Links

    def _partition(self) -> None:
        network, rng, names = self._cluster.network, self._rng, list(self._cluster.servers)
        match rng.choice(("halves", "one-way", "bridge", "partial", "heal", "heal")):
            case "halves":
                some = rng.sample(names, rng.randint(1, len(names) - 1))
                network.cut_between(some, [name for name in names if name not in some])
            case "one-way":
                cut_off = self._any().node_id
                for other in names:
                    ends = (cut_off, other) if rng.random() < 0.5 else (other, cut_off)
                    network.cut(*ends)
            case "bridge":
                bridge = rng.choice(names)
                rest = [name for name in names if name != bridge]
                rng.shuffle(rest)
                network.cut_between(rest[: len(rest) // 2], rest[len(rest) // 2 :])
            case "partial":
                for _ in range(rng.randint(1, len(names))):
                    network.cut(rng.choice(names), rng.choice(names))
            case _:
                network.heal()

    def _move(self) -> None:
        """One node's address changes; now and then, those of all."""
        network, names = self._cluster.network, list(self._cluster.servers)
        moving = names if self._rng.random() < 0.1 else [self._any().node_id]
        for node in moving:
            network.move(node)

    # Servers and their disks

    def _crash(self, server: SimServer) -> None:
        """At once, or at some point between its next write and the end of its sync."""
        if server.raft is None:
            return
        if self._rng.random() < 0.6:
            server.crash_while_writing = True
        else:
            server.crash()
        self._cluster.timeline.after(self._rng.uniform(0.3, 3.0), lambda: self._restart(server))

    def _cut_power(self) -> None:
        for server in list(self._cluster.servers.values()):
            self._crash(server)

    def _restart(self, server: SimServer) -> None:
        server.crash_while_writing = False
        if server.raft is not None or server.damaged:
            return
        all_sound = not any(other.damaged for other in self._cluster.servers.values())
        if all_sound and self._rng.random() < self._profile.rot:
            server.disk.rot(self._rng)
        server.start()

    def _stall(self) -> None:
        disk = self._any().disk
        disk.stalled_until = self._cluster.timeline.now + self._rng.uniform(0.1, 6.0)

    def _slow_down(self) -> None:
        disk = self._any().disk
        disk.latency_max_s = self._rng.choice((0.01, SLOW_DISK_LATENCY_S))

    # The cluster

    def _change(self) -> None:
        leader = self._cluster.leader()
        if leader is not None and leader.is_awake:
            names = list(self._cluster.servers)
            change = self._rng.choice(CHANGES)(self._rng.choice(names))
            if self._rng.random() < JOINT_CHANGES:
                change = ChangeVoters(frozenset(self._rng.sample(names, self._rng.randint(1, len(names)))))
            self._cluster.change(leader, change)

    def _transfer(self) -> None:
        server, target = self._any(), self._rng.choice([None, *self._cluster.servers])
        if server.is_awake:
            server.step(TransferLeadership(target))

    def _doubt(self) -> None:
        server = self._any()
        if server.is_awake and (leader_id := running(server).leader_id) is not None:
            server.step(LeaderUnreachable(leader_id))

    def _compact(self, server: SimServer) -> None:
        if server.is_awake and server.machine.index > 0:
            server.step(Compact(server.machine.index, server.machine.snapshot()))

    def _upgrade(self) -> None:
        """Or back. One server after the other starts again with the other version, and perhaps with other settings."""
        if self._upgrading:
            return
        self._upgrading = True
        self.upgrades += 1
        later = not next(iter(self._cluster.servers.values())).later_version
        slower = self._rng.choice((1.0, 1.0, 1.5, 2.0))
        settings = slowed(self._cluster.settings, slower)
        order = list(self._cluster.servers.values())
        self._rng.shuffle(order)
        self._upgrade_next(order, later, settings)

    def _upgrade_next(self, left: list[SimServer], later: bool, settings: RaftSettings) -> None:
        if not left or self._ended:
            self._upgrading = False
            return
        server, *rest = left
        if server.raft is not None:
            server.crash()
        server.later_version, server.settings = later, settings
        pause_s = self._rng.uniform(0.05, 0.5)
        self._cluster.timeline.after(pause_s, lambda: self._restart(server))
        self._cluster.timeline.after(
            pause_s + self._rng.uniform(0.1, 2.0), lambda: self._upgrade_next(rest, later, settings)
        )


def slowed(settings: RaftSettings, factor: float) -> RaftSettings:
    return replace(
        settings,
        heartbeat_interval_s=settings.heartbeat_interval_s * factor,
        election_timeout_min_s=settings.election_timeout_min_s * factor,
        election_timeout_max_s=settings.election_timeout_max_s * factor,
    )
