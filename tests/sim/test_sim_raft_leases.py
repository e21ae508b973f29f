"""Reads by lease under faults: clocks at rates up to 22 % apart, stopped leaders, crashes, cuts, handovers, changes."""

from dataclasses import replace

import pytest
from sim_cluster import SMALL, SimCluster
from sim_profiles import PROFILES
from sim_schedule import run_schedule
from sim_server import SimServer
from sim_violation import Violation

from swarmlet.raft import TransferLeadership
from swarmlet.raft.leader import Leader
from swarmlet.raft.lease import Lease
from swarmlet.raft.server import Server

LEASES = replace(SMALL, lease_reads=True)
SEEDS = 8


@pytest.mark.parametrize("profile", ["sleepers", "everything", "membership", "doubters"])
def test_no_schedule_with_leases_breaks_an_invariant(profile):
    reads = 0
    for seed in range(SEEDS):
        reads += run_schedule(replace(PROFILES[profile], lease_reads=True), seed).tally.reads

    assert reads > 0


def a_cluster_that_reads_by_lease(seed: int) -> tuple[SimCluster, SimServer]:
    cluster = SimCluster(seed, 3, LEASES)
    leader = cluster.form(voters=3)
    cluster.run(0.5)
    served = cluster.reads_ready
    leader.read()
    assert cluster.reads_ready == served + 1, "without waiting for anybody"
    return cluster, leader


def wake_up_a_leader(seed: int) -> None:
    """It slept while another was elected, and reads before it has heard of that."""
    cluster, leader = a_cluster_that_reads_by_lease(seed)
    leader.sleep(10.0)
    cluster.run_until(lambda: len(cluster.leaders()) > 1, 3.0, "a new leader")
    cluster.propose(next(server for server in cluster.leaders() if server is not leader))
    cluster.run(1.0)

    leader.asleep_until = 0.0
    leader.read()
    cluster.check_end()


def restart_the_follower_that_renewed_the_lease(seed: int) -> None:
    """Right after its answer it starts again and is asked for its vote by the third server, which was cut off."""
    cluster, leader = a_cluster_that_reads_by_lease(seed)
    one, other = (server for server in cluster.servers.values() if server is not leader)
    cluster.network.cut_between([other.node_id], [leader.node_id])
    cluster.run(1.2)

    one.crash()
    one.start()
    cluster.network.cut_between([leader.node_id], [one.node_id])
    read_and_write(cluster, leader)
    cluster.check_end()


def hand_over_unheard(seed: int) -> None:
    """The leader's followers hear it, but it hears neither of them any more when its successor is elected."""
    cluster, leader = a_cluster_that_reads_by_lease(seed)
    for server in cluster.servers.values():
        if server is not leader:
            cluster.network.cut(server.node_id, leader.node_id)

    leader.step(TransferLeadership(None))
    read_and_write(cluster, leader)
    cluster.check_end()


def read_and_write(cluster: SimCluster, former: SimServer) -> None:
    """The latest leader takes writes, the former one reads, for as long as a lease might last and some more."""
    for _ in range(60):
        cluster.run(0.01)
        if (current := cluster.leader()) is not None:
            cluster.propose(current)
        former.read()


SCENARIOS = [wake_up_a_leader, restart_the_follower_that_renewed_the_lease, hand_over_unheard]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_read_is_stale(scenario):
    for seed in range(20):
        scenario(seed)


def believe_a_clock_that_is_cut(patch: pytest.MonkeyPatch) -> None:
    def lease_holds(leader: Leader) -> bool:
        server = leader._server
        return leader._rounds.unanswered_s(server.quorum, server.now) < server.settings.lease_s

    patch.setattr(Leader, "_lease_holds", property(lease_holds))


def keep_the_lease_during_a_handover(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lease, "give_up", lambda lease: None)


def forget_the_leader_at_a_restart(patch: pytest.MonkeyPatch) -> None:
    original = Server.hears_leader.fget
    patch.setattr(Server, "hears_leader", property(lambda server: server.leader_id is not None and original(server)))


@pytest.mark.parametrize(
    ("plant", "scenario"),
    [
        (believe_a_clock_that_is_cut, wake_up_a_leader),
        (forget_the_leader_at_a_restart, restart_the_follower_that_renewed_the_lease),
        (keep_the_lease_during_a_handover, hand_over_unheard),
    ],
)
def test_the_scenarios_find_what_is_planted(plant, scenario, monkeypatch):
    plant(monkeypatch)

    with pytest.raises(Violation, match="no stale read"):
        for seed in range(20):
            scenario(seed)
