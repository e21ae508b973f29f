"""What goes wrong in a run, and how often: a profile says it, a seed decides when and to whom."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sim_cluster import SMALL, SimCluster
from sim_server import SimServer

from swarmlet.model.ids import NodeId
from swarmlet.raft import (
    AddLearner,
    ChangeVoters,
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
    sleeps: float = 0.0
    stalls: float = 0.0
    changes: float = 0.0
    transfers: float = 0.0
    doubts: float = 0.0
    """Servers that are told, mostly wrongly, that their leader's process is gone."""
    proposals: float = 15.0
    reads: float = 5.0


PROFILES = {
    "lossy-links": Profile(loss_max=0.3, repetition_max=0.3, delay_max_s=0.2, changes=0.3, transfers=0.1),
    "partitions": Profile(loss_max=0.05, partitions=0.8, transfers=0.2, voters=5),
    "crashes": Profile(crashes=1.0, stalls=0.2, loss_max=0.05),
    "membership": Profile(size=6, changes=4.0, crashes=0.2, transfers=0.4, partitions=0.2),
    "doubters": Profile(doubts=4.0, partitions=0.4, crashes=0.3, delay_max_s=0.05, proposals=30.0, reads=40.0),
    "sleepers": Profile(sleeps=0.7, partitions=1.0, transfers=0.3, proposals=30.0, reads=40.0),
    "everything": Profile(
        size=6,
        voters=4,
        loss_max=0.2,
        repetition_max=0.2,
        delay_max_s=0.1,
        partitions=0.4,
        crashes=0.4,
        sleeps=0.2,
        stalls=0.2,
        changes=1.0,
        transfers=0.3,
        doubts=1.0,
    ),
}


class Faults:
    def __init__(self, cluster: SimCluster, profile: Profile) -> None:
        self._cluster, self._profile = cluster, profile
        self._rng = Random(cluster.rng.random())
        self._ended = False

    def run(self) -> None:
        """Lets it all happen for the profile's duration."""
        profile, rng, network = self._profile, self._rng, self._cluster.network
        network.loss = rng.uniform(0, profile.loss_max)
        network.repetition = rng.uniform(0, profile.repetition_max)
        network.delay_max_s = max(0.001, rng.uniform(0, profile.delay_max_s))
        for rate, happening in (
            (profile.partitions, self._partition),
            (profile.crashes, self._crash),
            (profile.sleeps, self._sleep),
            (profile.stalls, self._stall),
            (profile.changes, self._change),
            (profile.transfers, self._transfer),
            (profile.doubts, self._doubt),
            (profile.proposals, self._propose),
            (profile.reads, lambda: self._any_running(lambda server: server.read())),
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

    def _any_running(self, happening: Callable[[SimServer], None]) -> None:
        server = self._any()
        if server.raft is not None and self._cluster.timeline.now >= server.asleep_until:
            happening(server)

    def _partition(self) -> None:
        network, rng, names = self._cluster.network, self._rng, list(self._cluster.servers)
        match rng.choice(("halves", "one-way", "bridge", "heal", "heal")):
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
            case _:
                network.heal()

    def _crash(self) -> None:
        server = self._any()
        if server.raft is not None:
            server.crash()
            self._cluster.timeline.after(self._rng.uniform(0.01, 3.0), lambda: self._restart(server))

    def _restart(self, server: SimServer) -> None:
        if server.raft is None:
            server.start()

    def _sleep(self) -> None:
        self._any().sleep(self._rng.uniform(0.1, 5.0))

    def _stall(self) -> None:
        disk = self._any().disk
        disk.stalled_until = self._cluster.timeline.now + self._rng.uniform(0.1, 6.0)

    def _change(self) -> None:
        leader = self._cluster.leader()
        if leader is not None and leader.asleep_until <= self._cluster.timeline.now:
            names = list(self._cluster.servers)
            change = self._rng.choice(CHANGES)(self._rng.choice(names))
            if self._rng.random() < JOINT_CHANGES:
                change = ChangeVoters(frozenset(self._rng.sample(names, self._rng.randint(1, len(names)))))
            self._cluster.change(leader, change)

    def _transfer(self) -> None:
        target = self._rng.choice([None, *self._cluster.servers])
        self._any_running(lambda server: server.step(TransferLeadership(target)))

    def _doubt(self) -> None:
        def doubt(server: SimServer) -> None:
            assert server.raft is not None
            if server.raft.leader_id is not None:
                server.step(LeaderUnreachable(server.raft.leader_id))

        self._any_running(doubt)

    def _propose(self) -> None:
        self._any_running(self._cluster.propose)


def run_schedule(profile: Profile, seed: int, settings: RaftSettings = SMALL) -> SimCluster:
    """One whole run: a cluster forms, faults happen, they end, and it has to recover."""
    cluster = SimCluster(seed, profile.size, settings)
    try:
        cluster.form(profile.voters)
        Faults(cluster, profile).run()
        cluster.check_end()
    except AssertionError as error:
        error.add_note("the last that happened:")
        error.add_note("\n".join(cluster.trace()))
        raise
    return cluster
