"""Which seats open, and as which revision: also where the rollout may not have them all yet."""

from collections import Counter

import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template

from swarmlet.controllers import nodes, rollout_commands, stacks
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.observed import Liveness, Phase
from swarmlet.model.revisions import RolloutState
from swarmlet.model.rollout import Canary, FailureAction, Order, RolloutPolicy, UpdatePolicy
from swarmlet.model.spec import DependencyCondition, MaxUnavailable, RestartCondition, RestartPolicy, StackSpec

CANARY = RolloutPolicy(canary=Canary(steps=(25,), hold_s=None))
STOP_FIRST = RolloutPolicy(update=UpdatePolicy(order=Order.STOP_FIRST, parallelism=1))
BLUE_GREEN = RolloutPolicy(blue_green=True, update=UpdatePolicy(failure_action=FailureAction.PAUSE))
PAUSING = RolloutPolicy(update=UpdatePolicy(failure_action=FailureAction.PAUSE, parallelism=1))
MIGRATION = ServiceId("web.migrate")


def a_cluster(policy: RolloutPolicy, replicas: int) -> FakeCluster:
    cluster = FakeCluster.of("n1", "n2", "n3", "n4")
    cluster.restarts_of_bad = 5
    deploy(cluster, "1", policy, replicas)
    cluster.settle()
    return cluster


def deploy(cluster: FakeCluster, version: str, policy: RolloutPolicy, replicas: int) -> None:
    cluster.deploy(a_stack(a_service(replicas=replicas, template=a_template(version), rollout=policy)))


def serving(cluster: FakeCluster) -> Counter[str]:
    return Counter(task.template.image for task in cluster.ready())


def lose(cluster: FakeCluster, node: str) -> None:
    cluster.set_liveness(node, Liveness.DEAD)


def drain(cluster: FakeCluster, node: str) -> None:
    assert cluster.commit(nodes.drain(cluster.state, node, cluster.now, None))


def node_of(cluster: FakeCluster, image: str) -> NodeId:
    return next(task.node for task in cluster.running() if task.template.image == image)


@pytest.mark.parametrize("goes", [lose, drain])
@pytest.mark.parametrize("whose", ["web:1", "web:2"])
def test_a_canary_keeps_its_share_when_a_node_goes(goes: object, whose: str) -> None:
    cluster = a_cluster(CANARY, 8)
    deploy(cluster, "2", CANARY, 8)
    cluster.settle()
    assert serving(cluster) == {"web:1": 6, "web:2": 2}

    goes(cluster, node_of(cluster, whose))  # type: ignore[operator]
    cluster.settle()

    assert serving(cluster) == {"web:1": 6, "web:2": 2}
    cluster.commit(rollout_commands.resume(cluster.state, APP, cluster.now))
    cluster.settle()
    assert serving(cluster) == {"web:2": 8}


def test_a_drained_task_serves_until_its_successor_of_the_old_revision_does() -> None:
    cluster = a_cluster(CANARY, 8)
    deploy(cluster, "2", CANARY, 8)
    cluster.settle()

    drain(cluster, node_of(cluster, "web:1"))
    while cluster.reconcile().transactions or cluster.nodes_act():
        assert len(cluster.ready()) >= 8

    (reason,) = {task.stop_reason for task in cluster.tasks() if task.stop_reason.endswith("is drained")}
    assert reason


def test_a_paused_rollout_gets_no_more_seats_and_none_is_left_to_a_hopeless_task() -> None:
    cluster = a_cluster(PAUSING, 6)
    cluster.bad_images.add("web:2")
    deploy(cluster, "2", PAUSING, 6)
    cluster.settle()
    cluster.now += 30
    cluster.settle()
    assert cluster.state.rollouts[APP].value.state is RolloutState.PAUSED
    (new,) = [task for task in cluster.running() if task.template.image == "web:2"]
    (old,) = [task for task in cluster.running() if task.slot == new.slot and task is not new and task.id != new.id]

    lose(cluster, old.node)
    cluster.settle()

    assert serving(cluster) == {"web:1": 6}


def test_while_an_init_service_runs_what_is_lost_is_replaced_as_it_was() -> None:
    once = RestartPolicy(condition=RestartCondition.NEVER)

    def a_stack_with_init(version: str) -> StackSpec:
        init = a_template("m" + version).model_copy(update={"restart": once})
        app = a_service(template=a_template(version), replicas=6, depends_on={"migrate": DependencyCondition.COMPLETED})
        return a_stack(app, a_service("migrate", replicas=1, template=init))

    def migrated() -> None:
        cluster.settle()
        for task in cluster.running(MIGRATION):
            cluster.publish(task, Phase.EXITED, exit_code=0)

    cluster = FakeCluster.of("n1", "n2", "n3", "n4")
    cluster.deploy(a_stack_with_init("1"))
    migrated()
    cluster.settle()
    cluster.deploy(a_stack_with_init("2"))
    cluster.settle()
    assert serving(cluster) == {"web:1": 6}

    (migration,) = [task for task in cluster.running(MIGRATION) if task.template.image == "web:m2"]
    lose(cluster, next(task.node for task in cluster.running() if task.node != migration.node))
    cluster.settle()
    assert serving(cluster) == {"web:1": 6}

    migrated()
    cluster.settle()
    assert serving(cluster) == {"web:2": 6}


def test_before_blue_green_switches_what_is_lost_of_those_that_serve_is_replaced() -> None:
    cluster = a_cluster(BLUE_GREEN, 4)
    cluster.bad_images.add("web:2")
    deploy(cluster, "2", BLUE_GREEN, 4)
    cluster.settle()
    assert serving(cluster) == {"web:1": 4}

    lose(cluster, node_of(cluster, "web:1"))
    cluster.settle()

    assert serving(cluster) == {"web:1": 4}
    assert len(cluster.running()) <= 8


def test_stop_first_starts_nothing_beside_a_task_whose_slot_is_above_the_wanted_number() -> None:
    cluster = a_cluster(STOP_FIRST, 4)
    for _ in range(6):  # until a slot above the number stays: the tasks of lower slots are lost when the others go
        lowest = min(cluster.running(), key=lambda task: task.slot)
        if lowest.slot > 2:
            break
        cluster.publish(lowest, Phase.BACKOFF)
        cluster.commit(stacks.scale(cluster.state, APP, len(cluster.running()) - 1))
        cluster.reconcile()
    left = len(cluster.running())
    assert any(task.slot > left for task in cluster.running())
    cluster.settle()

    cluster.deploy(
        a_stack(
            a_service(replicas=left, template=a_template("2"), rollout=STOP_FIRST).model_copy(
                update={"max_unavailable": MaxUnavailable(count=left)}
            )
        )
    )
    for _ in range(30):
        cluster.reconcile()
        there = [
            task for task in cluster.tasks() if (status := cluster.status(task)) and status.phase is not Phase.STOPPED
        ]
        starting = [task for task in cluster.running() if cluster.status(task) is None]
        assert len(there) + len(starting) <= left
        cluster.nodes_act()
        cluster.now += 1
    assert serving(cluster) == {"web:2": left}
