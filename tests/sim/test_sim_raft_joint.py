"""Changes of several voters at once, over crashes and cuts in the middle of them."""

from sim_cluster import SimCluster
from sim_profiles import PROFILES
from sim_schedule import run_schedule
from sim_server import SimServer

from swarmlet.model.ids import NodeId
from swarmlet.raft import AddLearner, ChangeVoters, Raft


def names(*numbers: int) -> frozenset[NodeId]:
    return frozenset(NodeId(f"n{number}") for number in numbers)


def raft(server: SimServer) -> Raft:
    assert server.raft is not None
    return server.raft


def with_learners(seed: int) -> SimCluster:
    """Voters n1, n2, n3; learners n4, n5, n6 that have it all."""
    cluster = SimCluster(seed, size=6)
    leader = cluster.form(voters=3)
    for node in names(4, 5, 6):
        cluster.change_until(AddLearner(node), lambda node=node: node in raft(leader).membership.members)
    cluster.commit_everywhere()
    return cluster


def voters_everywhere(cluster: SimCluster, voters: frozenset[NodeId]) -> bool:
    running = [server.raft for server in cluster.servers.values() if server.raft is not None]
    return all(server.membership.voters == voters and not server.membership.is_joint for server in running)


def test_all_voters_are_replaced_at_once():
    cluster = with_learners(seed=1)

    cluster.change(cluster.elect(), ChangeVoters(names(4, 5, 6)))

    cluster.run_until(lambda: voters_everywhere(cluster, names(4, 5, 6)), 5.0, "the new voters")
    cluster.run_until(lambda: cluster.elect().node_id in names(4, 5, 6), 5.0, "a leader among them")
    assert raft(cluster.elect()).membership.learners == names(1, 2, 3)
    cluster.check_end()


def test_a_change_goes_on_under_the_next_leader_wherever_the_first_one_crashes():
    """The crash comes in every moment of the change in turn: before, while and after the joint entry is committed."""
    for step in range(30):
        cluster = with_learners(seed=2)
        leader = cluster.elect()

        cluster.change(leader, ChangeVoters(names(3, 4, 5)))
        cluster.run(0.002 * step)
        leader.crash()
        cluster.run(1.0)
        leader.start()

        # A joint entry that nobody else had is lost, as any other; in no case is a joint membership kept.
        cluster.run_until(
            lambda cluster=cluster: (
                voters_everywhere(cluster, names(3, 4, 5)) or voters_everywhere(cluster, names(1, 2, 3))
            ),
            10.0,
            "an end of the change",
        )
        cluster.check_end()


def test_a_change_that_the_new_voters_do_not_answer_holds_up_but_loses_nothing():
    cluster = with_learners(seed=3)
    cut_off = names(4, 5)

    cluster.change(cluster.elect(), ChangeVoters(names(3, 4, 5)))
    cluster.network.cut_between(list(cut_off), [name for name in cluster.servers if name not in cut_off])
    cluster.run(10.0)
    assert not voters_everywhere(cluster, names(3, 4, 5))
    cluster.network.heal()

    cluster.run_until(
        lambda: voters_everywhere(cluster, names(3, 4, 5)) or voters_everywhere(cluster, names(1, 2, 3)),
        10.0,
        "an end of the change",
    )
    cluster.check_end()


def test_the_schedules_change_several_voters_at_once():
    joint = sum(run_schedule(PROFILES["membership"], seed).tally.joint_memberships for seed in range(5))

    assert joint > 0
