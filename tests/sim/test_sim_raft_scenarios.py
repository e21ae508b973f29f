"""Traps that others have met, each as one run: links and disks are arranged, the real cores do the rest."""

from functools import partial

from sim_cluster import SimCluster
from sim_faults import slowed
from sim_server import SimServer
from sim_service import Refused

from swarmlet.model.ids import NodeId
from swarmlet.raft import AddLearner, LeaderUnreachable, Raft, Role, TransferLeadership
from swarmlet.store import Store


def raft(server: SimServer) -> Raft:
    assert server.raft is not None
    return server.raft


def followers(cluster: SimCluster, leader: SimServer) -> list[SimServer]:
    return [server for server in cluster.servers.values() if server is not leader]


def another_leads(cluster: SimCluster, former: SimServer) -> bool:
    return any(server is not former for server in cluster.leaders())


def test_a_quiet_cluster_keeps_its_leader_and_its_term():
    cluster = SimCluster(seed=1, size=3)
    leader = cluster.form(voters=3)
    term = raft(leader).term

    cluster.run(60.0)

    assert cluster.leaders() == [leader] and raft(leader).term == term


def test_a_dead_leader_is_replaced_within_little_more_than_an_election_timeout():
    cluster = SimCluster(seed=2, size=3)
    leader = cluster.form(voters=3)

    leader.crash()

    cluster.run_until(lambda: another_leads(cluster, leader), 1.5, "a new leader")
    cluster.check_end()


def test_a_leader_whose_process_is_seen_to_be_gone_is_replaced_in_a_fraction_of_an_election_timeout():
    cluster = SimCluster(seed=2, size=3)
    leader = cluster.form(voters=3)

    leader.crash()
    for server in followers(cluster, leader):
        server.step(LeaderUnreachable(leader.node_id))

    cluster.run_until(lambda: another_leads(cluster, leader), 0.3, "a new leader")
    cluster.check_end()


def test_wrong_evidence_that_the_leader_is_gone_does_not_depose_it():
    cluster = SimCluster(seed=3, size=3)
    leader = cluster.form(voters=3)
    term = raft(leader).term

    for _ in range(100):
        followers(cluster, leader)[0].step(LeaderUnreachable(leader.node_id))
        cluster.run(0.3)

    assert cluster.leaders() == [leader] and raft(leader).term == term


def test_a_server_back_from_a_cut_does_not_depose_a_healthy_leader():
    cluster = SimCluster(seed=3, size=3)
    leader = cluster.form(voters=3)
    cut_off = followers(cluster, leader)[0]
    term = raft(leader).term

    cluster.network.cut_between([cut_off.node_id], list(cluster.servers))
    cluster.run(20.0)
    cluster.network.heal()
    cluster.run(5.0)

    assert cluster.leaders() == [leader] and raft(leader).term == term
    assert raft(cut_off).leader_id == leader.node_id


def test_a_server_that_hears_nobody_but_is_heard_does_not_depose_the_leader():
    cluster = SimCluster(seed=4, size=3)
    leader = cluster.form(voters=3)
    deaf = followers(cluster, leader)[0]
    term = raft(leader).term

    for server in cluster.servers.values():
        cluster.network.cut(server.node_id, deaf.node_id)
    cluster.run(20.0)

    assert cluster.leaders() == [leader] and raft(leader).term == term


def test_a_leader_that_is_heard_but_hears_nobody_gives_way():
    cluster = SimCluster(seed=5, size=3)
    leader = cluster.form(voters=3)

    for server in cluster.servers.values():
        cluster.network.cut(server.node_id, leader.node_id)

    cluster.run_until(lambda: another_leads(cluster, leader), 3.0, "a new leader")


def test_two_servers_that_have_both_lost_their_leader_elect_one_of_them():
    """A pre-candidate that still counted itself as hearing the leader would refuse the other for ever."""
    for seed in range(20):
        cluster = SimCluster(seed, size=3)
        leader = cluster.form(voters=3)

        cluster.network.cut_between([leader.node_id], list(cluster.servers))

        cluster.run_until(partial(another_leads, cluster, leader), 3.0, "a new leader")


def test_an_old_leader_that_reaches_only_a_bridge_does_not_block_the_quorum_that_needs_the_bridge():
    """Five voters, one of them down: the old leader reaches the bridge alone, which two others need as their third."""
    cluster = SimCluster(seed=7, size=5)
    leader = cluster.form(voters=5)
    bridge, one, other, down = followers(cluster, leader)

    down.crash()
    cluster.network.cut_between([leader.node_id], [one.node_id, other.node_id])

    cluster.run_until(lambda: another_leads(cluster, leader), 5.0, "a new leader")
    elected = cluster.leader()
    assert elected is not None and elected in (bridge, one, other)
    commit = raft(elected).commit_index
    cluster.propose(elected)
    cluster.run_until(lambda: raft(elected).commit_index > commit, 2.0, "a commit through the bridge")


def test_a_chain_in_which_only_the_middle_reaches_both_ends_keeps_one_leader():
    cluster = SimCluster(seed=8, size=3)
    leader = cluster.form(voters=3)
    middle, end = followers(cluster, leader)
    term = raft(leader).term

    cluster.network.cut_between([leader.node_id], [end.node_id])
    cluster.run(20.0)

    assert raft(leader).role is Role.LEADER and raft(leader).term == term
    assert raft(middle).leader_id == leader.node_id


def test_a_disk_that_stalls_for_ten_seconds_does_not_keep_its_leader_in_office():
    cluster = SimCluster(seed=9, size=3)
    leader = cluster.form(voters=3)

    leader.disk.stalled_until = cluster.timeline.now + 10.0
    cluster.propose(leader)

    cluster.run_until(lambda: another_leads(cluster, leader), 4.0, "a new leader")
    assert raft(leader).role is Role.FOLLOWER
    cluster.check_end()


def test_a_stalled_disk_of_a_follower_disturbs_nobody():
    cluster = SimCluster(seed=10, size=3)
    leader = cluster.form(voters=3)
    slow = followers(cluster, leader)[0]
    term = raft(leader).term

    slow.disk.stalled_until = cluster.timeline.now + 10.0
    for _ in range(50):
        cluster.propose(leader)
        cluster.run(0.2)

    assert cluster.leaders() == [leader] and raft(leader).term == term
    assert raft(leader).commit_index == raft(leader).last_index
    cluster.check_end()


def test_a_leader_that_was_stopped_for_long_serves_no_stale_read():
    cluster = SimCluster(seed=11, size=3)
    leader = cluster.form(voters=3)
    answers: list[Store | Refused] = []

    leader.sleep(10.0)
    cluster.run_until(lambda: another_leads(cluster, leader), 3.0, "a new leader")
    for _ in range(5):
        cluster.propose(next(server for server in cluster.leaders() if server is not leader))
        cluster.run(0.2)
    leader.asleep_until = 0.0
    leader.service.read(answers.append)
    cluster.run(2.0)

    assert answers == [] or isinstance(answers[0], Refused)
    assert raft(leader).role is Role.FOLLOWER


def test_all_servers_start_again_at_once_and_have_lost_nothing():
    cluster = SimCluster(seed=12, size=3)
    leader = cluster.form(voters=3)
    for _ in range(100):
        cluster.propose(leader)
        cluster.run(0.02)
    applied = cluster.invariants.applied_index

    for server in cluster.servers.values():
        server.crash()
    cluster.check_end()

    assert all(server.machine.index > applied for server in cluster.servers.values())


def test_a_new_node_far_behind_gets_a_snapshot():
    cluster = SimCluster(seed=13, size=4)
    leader = cluster.form(voters=3)
    for _ in range(200):
        cluster.propose(leader)
        cluster.run(0.02)

    cluster.form(voters=4)

    assert cluster.servers[NodeId("n4")].snapshots_installed >= 1


def test_a_handover_takes_less_than_an_election_timeout():
    cluster = SimCluster(seed=14, size=3)
    leader = cluster.form(voters=3)

    leader.step(TransferLeadership(None))

    cluster.run_until(lambda: another_leads(cluster, leader), 0.2, "a new leader")
    cluster.check_end()


def test_a_cluster_that_is_upgraded_server_by_server_has_a_leader_all_along():
    """Two versions of the protocol, and other timeouts with the new one: mixed settings must not block an election."""
    for slower in (1.0, 2.0, 4.0):
        cluster = SimCluster(seed=15, size=3)
        cluster.form(voters=3)
        for later in (True, False):
            for server in cluster.servers.values():
                server.crash()
                server.later_version = later
                server.settings = slowed(cluster.settings, slower if later else 1.0)
                cluster.run(0.3)
                server.start()
                cluster.commit_everywhere(within_s=5.0 * slower)

        cluster.check_end()


def test_a_learner_that_went_back_to_the_old_version_is_understood_again():
    """It never speaks first: only its answer to what it can't read tells the leader."""
    cluster = SimCluster(seed=16, size=3)
    for server in cluster.servers.values():
        server.crash()
        server.later_version = True
        server.start()
    leader = cluster.form(voters=1)
    learner = cluster.servers[NodeId("n3")]
    cluster.change_until(AddLearner(learner.node_id), lambda: learner.node_id in raft(leader).membership.learners)
    cluster.commit_everywhere()

    learner.crash()
    learner.later_version = False
    learner.start()

    cluster.commit_everywhere(within_s=2.0)
    assert learner.versions_unknown > 0


def test_a_cluster_whose_servers_all_get_new_addresses_goes_on():
    cluster = SimCluster(seed=17, size=3)
    cluster.form(voters=3)

    for node in cluster.servers:
        cluster.network.move(node)

    cluster.commit_everywhere(within_s=5.0)
    cluster.check_end()
