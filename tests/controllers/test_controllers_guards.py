"""Two leaders, stale views, interruptions: every transaction knows what it would be wrong without."""

from collections.abc import Callable
from copy import deepcopy

import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template

from swarmlet.controllers import stacks
from swarmlet.controllers.steps import OPERATIONS_MAX
from swarmlet.model.ids import StackName
from swarmlet.model.observed import Liveness, Phase
from swarmlet.model.spec import Mode


def a_cluster_with(replicas: int) -> FakeCluster:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_service(replicas=replicas), a_service("agent", mode=Mode.GLOBAL)))
    cluster.settle()
    return cluster


def create_tasks(cluster: FakeCluster) -> None:
    cluster.commit(stacks.scale(cluster.state, APP, 9))


def scale_down(cluster: FakeCluster) -> None:
    cluster.commit(stacks.scale(cluster.state, APP, 2))


def lose_a_node(cluster: FakeCluster) -> None:
    cluster.set_liveness("n2", Liveness.DEAD)


def gain_a_node(cluster: FakeCluster) -> None:
    cluster.add_node("n4")


def roll_out(cluster: FakeCluster) -> None:
    cluster.deploy(a_stack(a_service(replicas=6, template=a_template("2")), a_service("agent", mode=Mode.GLOBAL)))


def remove(cluster: FakeCluster) -> None:
    cluster.commit(stacks.remove(cluster.state, StackName("web")))


Happening = Callable[[FakeCluster], None]
CASES: list[Happening] = [create_tasks, scale_down, lose_a_node, gain_a_node, roll_out, remove]


@pytest.mark.parametrize("happens", CASES)
def test_a_second_leader_with_the_same_view_changes_nothing(happens: Happening) -> None:
    cluster = a_cluster_with(6)
    happens(cluster)
    theirs = cluster.look().transactions
    cluster.now += 1
    ours = cluster.look().transactions
    assert ours

    assert all(cluster.commit(each) for each in ours)
    assert not any(cluster.commit(each) for each in theirs)


@pytest.mark.parametrize("happens", CASES)
def test_a_decision_is_void_once_the_services_have_changed(happens: Happening) -> None:
    cluster = a_cluster_with(6)
    happens(cluster)
    decided = cluster.look().transactions

    new = a_template("9")
    cluster.deploy(a_stack(a_service(template=new), a_service("agent", mode=Mode.GLOBAL, template=new)))

    assert not any(cluster.commit(each) for each in decided)


def test_two_leaders_that_would_stop_different_tasks_do_not_stop_both() -> None:
    cluster = a_cluster_with(3)
    cluster.commit(stacks.scale(cluster.state, APP, 2))
    other = deepcopy(cluster)
    other.publish(other.running()[0], Phase.BACKOFF)
    ours, theirs = cluster.look().transactions, other.look().transactions
    assert ours[-1].operations[0].key != theirs[-1].operations[0].key

    assert cluster.commit(ours[-1])
    assert not cluster.commit(theirs[-1])


@pytest.mark.parametrize("happens", CASES)
def test_an_interruption_after_any_transaction_leads_to_the_same_end(happens: Happening) -> None:
    whole = a_cluster_with(6)
    happens(whole)
    interrupted = deepcopy(whole)

    while found := interrupted.look().transactions:
        assert interrupted.commit(found[0])
    whole.reconcile()

    assert interrupted.store.scan("") and end_of(interrupted) == end_of(whole)


def end_of(cluster: FakeCluster) -> object:
    state = cluster.state
    tasks = {(task.value.id, task.value.node, task.value.slot, task.value.desired) for task in state.tasks.values()}
    return tasks, {(node.value.id, node.value.status) for node in state.nodes.values()}


def test_large_decisions_are_split_and_any_part_is_right_by_itself() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_stack(a_service(replicas=1000)))
    cluster.reconcile()
    assert len(cluster.running()) == 1000
    cluster.set_liveness("n2", Liveness.DEAD)

    found = cluster.look().transactions
    assert [len(each.operations) <= OPERATIONS_MAX for each in found] == [True] * 6
    assert cluster.commit(found[0])

    assert len(cluster.running()) == 1000
    cluster.reconcile()
    assert {task.node for task in cluster.running()} == {"n1"}
    assert len(cluster.running()) == 1000


def test_a_large_scale_down_takes_few_transactions() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_service(replicas=1000)))
    cluster.reconcile()
    cluster.commit(stacks.scale(cluster.state, APP, 400))

    assert len(cluster.reconcile().transactions) == 4

    assert len(cluster.running()) == 400
    assert max(sum(task.node == node for task in cluster.running()) for node in cluster.nodes) == 134
