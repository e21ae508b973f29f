"""Tasks of services: created, spread, scaled, replaced when their node is lost, forgotten when long dead."""

from collections import Counter

from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template, deleted_keys, put_keys

from swarmlet.controllers import stacks
from swarmlet.model.ids import NodeId, ServiceId, StackName
from swarmlet.model.objects import Desired, NodeStatus
from swarmlet.model.observed import Liveness, Phase
from swarmlet.model.spec import Mode
from swarmlet.model.transaction import Transaction, put


def a_cluster_with(replicas: int, *names: str, mode: Mode = Mode.REPLICATED) -> FakeCluster:
    cluster = FakeCluster.of(*(names or ("n1", "n2", "n3")))
    cluster.deploy(a_stack(a_service(replicas=replicas, mode=mode)))
    cluster.settle()
    return cluster


def per_node(cluster: FakeCluster) -> dict[str, int]:
    return dict(Counter(str(task.node) for task in cluster.running()))


def test_a_hundred_tasks_take_a_few_transactions_and_spread_evenly() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.reconcile()
    cluster.deploy(a_stack(a_service(replicas=100)))

    outcome = cluster.reconcile()

    assert len(outcome.transactions) == 1
    assert sorted(per_node(cluster).values()) == [33, 33, 34]
    assert sorted(task.slot for task in cluster.running()) == list(range(1, 101))


def test_tasks_are_created_on_a_node_in_the_same_look_in_which_it_is_first_seen() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(a_stack(a_service(replicas=2)))

    cluster.reconcile()

    assert per_node(cluster) == {"n1": 2}
    assert cluster.look().transactions == []


def test_a_task_without_a_status_on_a_living_node_is_presumed_starting() -> None:
    cluster = a_cluster_with(3)
    before = cluster.tasks()

    cluster.forget_statuses()
    cluster.now += 10_000

    assert cluster.look().transactions == []
    assert cluster.tasks() == before


def test_a_task_that_crashes_is_left_to_its_node() -> None:
    cluster = a_cluster_with(3)

    cluster.publish(cluster.running()[0], Phase.BACKOFF, message="exit 1")

    assert cluster.look().transactions == []


def test_a_task_that_ended_for_good_keeps_its_seat() -> None:
    cluster = a_cluster_with(2)
    ended = cluster.running()[0]
    cluster.publish(ended, Phase.EXITED, exit_code=0)

    assert cluster.look().transactions == []
    cluster.set_liveness(ended.node, Liveness.DEAD)
    cluster.settle()

    assert ended in cluster.running()
    assert len(cluster.running()) == 2


def test_scaling_up_fills_the_free_slots() -> None:
    cluster = a_cluster_with(2)

    assert cluster.commit(stacks.scale(cluster.state, APP, 4))
    cluster.settle()

    assert sorted(task.slot for task in cluster.ready()) == [1, 2, 3, 4]


def test_scaling_down_stops_tasks_that_are_not_ready_first() -> None:
    cluster = a_cluster_with(3)
    broken = cluster.running()[1]
    cluster.publish(broken, Phase.BACKOFF)

    assert cluster.commit(stacks.scale(cluster.state, APP, 2))
    cluster.reconcile()

    stopped = [task for task in cluster.tasks() if task.desired is Desired.STOP]
    assert [(task.id, task.stop_reason, task.stopped_at) for task in stopped] == [
        (broken.id, "scaled down", cluster.now)
    ]


def test_scaling_down_thins_out_the_most_crowded_nodes() -> None:
    cluster = a_cluster_with(4, "n1")
    cluster.add_node("n2")
    assert cluster.commit(stacks.scale(cluster.state, APP, 6))
    cluster.settle()
    assert per_node(cluster) == {"n1": 4, "n2": 2}

    assert cluster.commit(stacks.scale(cluster.state, APP, 4))
    cluster.settle()

    assert per_node(cluster) == {"n1": 2, "n2": 2}


def test_scaling_to_nothing_stops_everything() -> None:
    cluster = a_cluster_with(5)

    assert cluster.commit(stacks.scale(cluster.state, APP, 0))
    cluster.settle()

    assert cluster.running() == []


def test_tasks_of_a_lost_node_are_replaced_in_one_transaction_with_its_death() -> None:
    cluster = a_cluster_with(6)
    lost = {task.id for task in cluster.running() if task.node == "n2"}
    cluster.set_liveness("n2", Liveness.DEAD)

    outcome = cluster.reconcile()

    assert len(outcome.transactions) == 1
    assert cluster.state.nodes[NodeId("n2")].value.status is NodeStatus.DOWN
    stopped = [task for task in cluster.tasks() if task.id in lost]
    assert {(task.desired, task.stop_reason) for task in stopped} == {(Desired.STOP, "node lost")}
    assert per_node(cluster) == {"n1": 3, "n3": 3}
    assert sorted(task.slot for task in cluster.running()) == [1, 2, 3, 4, 5, 6]


def test_a_suspected_node_keeps_its_tasks_and_gets_no_new_ones() -> None:
    cluster = a_cluster_with(3)
    cluster.set_liveness("n2", Liveness.SUSPECT)
    assert cluster.look().transactions == []

    assert cluster.commit(stacks.scale(cluster.state, APP, 9))
    cluster.settle()

    assert per_node(cluster) == {"n1": 4, "n2": 1, "n3": 4}


def test_a_node_that_left_has_thirty_seconds_to_return() -> None:
    cluster = a_cluster_with(3)
    left_at = cluster.now
    cluster.set_liveness("n2", Liveness.LEFT)
    outcome = cluster.reconcile()
    assert per_node(cluster) == {"n1": 1, "n2": 1, "n3": 1}
    assert outcome.wake_at == left_at + 30

    cluster.now = left_at + 30
    cluster.reconcile()

    assert "n2" not in per_node(cluster)
    assert [task.stop_reason for task in cluster.tasks() if task.desired is Desired.STOP] == ["node left"]


def test_tasks_told_to_stop_never_run_again_when_their_node_returns() -> None:
    cluster = a_cluster_with(3)
    lost = [task.id for task in cluster.running() if task.node == "n2"]
    cluster.set_liveness("n2", Liveness.DEAD)
    cluster.settle()

    cluster.set_liveness("n2", Liveness.ALIVE)
    cluster.settle()

    assert all(task.desired is Desired.STOP for task in cluster.tasks() if task.id in lost)
    assert len(cluster.ready()) == 3


def test_a_global_service_has_one_task_on_every_node() -> None:
    cluster = a_cluster_with(1, "n1", "n2", mode=Mode.GLOBAL)
    assert per_node(cluster) == {"n1": 1, "n2": 1}
    assert {task.slot for task in cluster.running()} == {0}

    cluster.add_node("n3")
    cluster.settle()
    assert per_node(cluster) == {"n1": 1, "n2": 1, "n3": 1}

    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.settle()
    assert per_node(cluster) == {"n2": 1, "n3": 1}
    assert not [task for task in cluster.tasks() if task.node == "n1"]


def test_a_global_task_comes_back_under_a_new_id_when_its_node_does() -> None:
    cluster = a_cluster_with(1, "n1", "n2", mode=Mode.GLOBAL)
    (before,) = [task.id for task in cluster.running() if task.node == "n1"]
    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.settle()

    cluster.set_liveness("n1", Liveness.ALIVE)
    cluster.settle()

    (after,) = [task.id for task in cluster.running() if task.node == "n1"]
    assert after != before


def test_a_service_may_change_its_mode_both_ways() -> None:
    cluster = a_cluster_with(5)

    cluster.deploy(a_stack(a_service(mode=Mode.GLOBAL)))
    cluster.settle()
    assert per_node(cluster) == {"n1": 1, "n2": 1, "n3": 1}

    cluster.deploy(a_stack(a_service(replicas=4, template=a_template("2"))))
    cluster.settle()
    assert len(cluster.ready()) == 4
    assert {task.template.image for task in cluster.running()} == {"web:2"}


def test_removal_stops_the_tasks_and_forgets_them_once_they_have_stopped() -> None:
    cluster = a_cluster_with(3)
    assert cluster.commit(stacks.remove(cluster.state, StackName("web")))

    cluster.reconcile()
    assert {task.stop_reason for task in cluster.tasks()} == {"service removed"}

    cluster.settle()
    assert cluster.tasks() == []


def test_removal_does_not_wait_for_a_dead_node() -> None:
    cluster = a_cluster_with(3)
    cluster.set_liveness("n1", Liveness.DEAD)
    assert cluster.commit(stacks.remove(cluster.state, StackName("web")))

    outcome = cluster.reconcile()

    assert len(deleted_keys(outcome.transactions[0])) == 1
    assert put_keys(outcome.transactions[0]) == ["nodes/n1"]
    assert {task.node for task in cluster.tasks()} == {"n2", "n3"}


def test_a_stopped_task_that_its_node_does_not_know_is_forgotten_after_a_while() -> None:
    cluster = a_cluster_with(1, "n1")
    assert cluster.commit(stacks.remove(cluster.state, StackName("web")))
    cluster.reconcile()
    cluster.forget_statuses()

    assert cluster.look().transactions == []
    assert cluster.look().wake_at == cluster.now + 30
    cluster.now += 30
    cluster.reconcile()

    assert cluster.tasks() == []


def test_dead_tasks_of_a_living_service_are_kept_for_a_quarter_of_an_hour() -> None:
    cluster = a_cluster_with(2)
    assert cluster.commit(stacks.scale(cluster.state, APP, 1))
    stopped_at = cluster.now
    cluster.settle()
    assert len(cluster.tasks()) == 2

    cluster.now = stopped_at + 899
    assert cluster.look().transactions == []
    assert cluster.look().wake_at == stopped_at + 900
    cluster.now = stopped_at + 900
    cluster.reconcile()

    assert len(cluster.tasks()) == 1


def test_at_most_three_dead_tasks_are_kept_per_slot() -> None:
    cluster = a_cluster_with(1, "n1", "n2")

    for version in range(2, 9):
        cluster.deploy(a_stack(a_service(template=a_template(str(version)))))
        cluster.settle()

    assert [task.template.image for task in cluster.tasks()] == ["web:5", "web:6", "web:7", "web:8"]


def test_the_last_task_of_a_wanted_slot_is_kept_until_it_has_a_successor() -> None:
    cluster = a_cluster_with(1, "n1")
    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.settle()
    cluster.now += 10_000
    cluster.settle()
    (dead,) = cluster.tasks()

    cluster.set_liveness("n1", Liveness.ALIVE)
    cluster.settle()

    assert [task.id != dead.id for task in cluster.ready()] == [True]


def test_a_service_that_fits_nowhere_says_why_per_node_and_is_tried_again() -> None:
    cluster = FakeCluster.of("n1", "n2", memory_mib=200)
    cluster.deploy(a_stack(a_service(replicas=2, template=a_template(memory_mib=512))))

    problem = cluster.settle().problems[APP]
    assert problem.message == "no node can take 2 of 2 tasks"
    assert problem.per_node == {
        "n1": "needs 512 MiB of memory, 200 MiB free",
        "n2": "needs 512 MiB of memory, 200 MiB free",
    }

    cluster.add_node("n3")
    assert cluster.settle().problems == {}
    assert per_node(cluster) == {"n3": 2}


def test_a_task_that_is_stopping_still_takes_its_room() -> None:
    cluster = FakeCluster.of("n1", memory_mib=600)
    cluster.deploy(a_stack(a_service("app", template=a_template(memory_mib=512))))
    cluster.settle()
    cluster.deploy(a_stack(a_service("other", template=a_template(memory_mib=512))))

    assert "web.other" in cluster.reconcile().problems
    assert cluster.settle().problems == {}

    assert len(cluster.ready(ServiceId("web.other"))) == 1


def test_two_tasks_in_one_seat_are_one_too_many() -> None:
    cluster = a_cluster_with(2)
    twin = cluster.running()[0].model_copy(update={"id": "twin", "created_at": cluster.now})
    cluster.commit(Transaction((), (put(twin.key, twin),)))

    cluster.reconcile()

    (stopped,) = [task for task in cluster.tasks() if task.desired is Desired.STOP]
    assert stopped.id == "twin"
    assert stopped.stop_reason.startswith("duplicate of task")
