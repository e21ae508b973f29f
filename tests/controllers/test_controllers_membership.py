"""Nodes: what the failure detector says becomes what the cluster agrees on."""

import pytest
from controllers_builders import START, FakeCluster, a_service, a_stack

from swarmlet.model.ids import NodeId
from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness

N1 = NodeId("n1")


def status(cluster: FakeCluster, node: NodeId = N1) -> NodeStatus:
    return cluster.state.nodes[node].value.status


def test_a_member_seen_alive_gets_its_object() -> None:
    cluster = FakeCluster.of("n1", "n2")

    cluster.reconcile()

    node = cluster.state.nodes[N1].value
    assert (node.name, node.status, node.status_since) == ("n1", NodeStatus.UP, START)


def test_a_member_that_was_never_alive_gets_none() -> None:
    cluster = FakeCluster.of("n1")
    cluster.set_liveness("n1", Liveness.DEAD)

    assert cluster.look().transactions == []


@pytest.mark.parametrize(
    ("liveness", "expected"),
    [(Liveness.DEAD, NodeStatus.DOWN), (Liveness.LEFT, NodeStatus.LEFT), (Liveness.SUSPECT, NodeStatus.UP)],
)
def test_liveness_becomes_status(liveness: Liveness, expected: NodeStatus) -> None:
    cluster = FakeCluster.of("n1")
    cluster.reconcile()

    cluster.set_liveness("n1", liveness)
    cluster.now += 5
    cluster.reconcile()

    node = cluster.state.nodes[N1].value
    assert node.status is expected
    assert node.status_since == (START if expected is NodeStatus.UP else START + 5)


def test_a_node_that_returns_is_up_again() -> None:
    cluster = FakeCluster.of("n1")
    cluster.reconcile()
    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.reconcile()

    cluster.set_liveness("n1", Liveness.ALIVE)
    cluster.reconcile()

    assert status(cluster) is NodeStatus.UP


def test_nothing_is_written_when_nothing_differs() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.reconcile()

    cluster.now += 100
    assert cluster.look().transactions == []


def test_silence_about_a_node_is_no_verdict_until_the_leader_has_listened_long_enough() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.reconcile()
    del cluster.nodes[N1]

    early = cluster.look(listening_since=cluster.now)
    assert early.transactions == []
    assert early.wake_at == cluster.now + 30

    since, cluster.now = cluster.now, cluster.now + 30
    assert cluster.look(listening_since=since).transactions == [], "and not without the other voters"
    cluster.gone.add(N1)
    for transaction in cluster.look(listening_since=since).transactions:
        assert cluster.commit(transaction)
    assert status(cluster) is NodeStatus.DOWN


def test_a_node_that_is_dead_for_this_leader_alone_stays_up_and_keeps_its_tasks() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_service("app", replicas=6)))
    cluster.settle()
    before = [task.id for task in cluster.running()]

    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.doubted.add(N1)
    cluster.now += 3600
    cluster.settle()

    assert status(cluster) is NodeStatus.UP
    assert [task.id for task in cluster.running()] == before


def test_a_node_that_is_dead_for_the_majority_is_down_though_this_leader_still_hears_it() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_service("app", replicas=6)))
    cluster.settle()

    cluster.gone.add(N1)
    cluster.settle()

    assert status(cluster) is NodeStatus.DOWN
    assert {task.node for task in cluster.running()} == {"n2", "n3"}
    assert len(cluster.ready()) == 6


def test_a_node_that_is_down_stays_down_until_it_is_seen_alive() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.reconcile()
    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.reconcile()

    cluster.doubted.add(N1)
    cluster.reconcile()

    assert status(cluster) is NodeStatus.DOWN


def test_two_leaders_do_not_write_the_same_node_twice() -> None:
    cluster = FakeCluster.of("n1")
    ours, theirs = cluster.look().transactions, cluster.look().transactions

    assert all(cluster.commit(each) for each in ours)
    assert not any(cluster.commit(each) for each in theirs)


def test_a_leader_that_has_listened_since_before_it_led_waits_for_nothing() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.reconcile()
    cluster.now += 100
    del cluster.nodes[N1]
    cluster.gone.add(N1)

    for transaction in cluster.look(listening_since=cluster.now - 50).transactions:
        assert cluster.commit(transaction)

    assert status(cluster) is NodeStatus.DOWN


def test_a_node_that_has_just_come_up_elsewhere_is_on_its_way_here() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.reconcile()
    del cluster.nodes[N1]

    early = cluster.look(listening_since=cluster.now - 1_000)

    assert early.transactions == []
    assert early.wake_at == cluster.now + 30
