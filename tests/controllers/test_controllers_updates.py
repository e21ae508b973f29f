"""What a declared update policy does: order, pace, trial, failure, rollback, canary, blue-green; and the history."""

from collections.abc import Callable

import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template

from swarmlet.controllers import nodes, rollout_commands, stacks
from swarmlet.controllers.rollout_commands import IsRevisionAlready, NoRollout, NoSuchRevision, NothingToGoBackTo
from swarmlet.model.ids import StackName
from swarmlet.model.objects import Desired
from swarmlet.model.observed import Health, Phase
from swarmlet.model.revisions import HISTORY_MAX, RevisionOutcome, RolloutState
from swarmlet.model.rollout import Canary, FailureAction, Order, RolloutPolicy, UpdatePolicy
from swarmlet.model.spec import Mode, StackSpec

STOP_FIRST = RolloutPolicy(update=UpdatePolicy(order=Order.STOP_FIRST, parallelism=1))


def a_cluster(replicas: int, policy: RolloutPolicy, version: str = "1") -> FakeCluster:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.restarts_of_bad = 5
    deploy(cluster, version, replicas, policy)
    cluster.settle()
    return cluster


def deploy(cluster: FakeCluster, version: str, replicas: int, policy: RolloutPolicy) -> None:
    cluster.deploy(a_stack(a_service(replicas=replicas, template=a_template(version), rollout=policy)))


def images(cluster: FakeCluster) -> list[str]:
    return sorted(task.template.image for task in cluster.running())


def outcomes(cluster: FakeCluster) -> dict[int, RevisionOutcome]:
    return {number: each.value.outcome for number, each in sorted(cluster.state.history[APP].items())}


def rollout_state(cluster: FakeCluster) -> RolloutState:
    return cluster.state.rollouts[APP].value.state


def watch(cluster: FakeCluster, look: Callable[[], None], rounds_max: int = 200) -> None:
    """Until nothing moves any more, with a look at every step on the way."""
    for _ in range(rounds_max):
        outcome = cluster.reconcile()
        look()
        if not cluster.nodes_act() and not outcome.transactions:
            return
        look()
        cluster.now += 1
    raise AssertionError("does not end")


# Order and pace


def test_stop_first_starts_nothing_before_the_old_task_is_gone() -> None:
    cluster = a_cluster(3, STOP_FIRST)
    deploy(cluster, "2", 3, STOP_FIRST)
    seen: list[int] = []

    def look() -> None:
        holding = [task for task in cluster.tasks() if not has_stopped(cluster, task.id)]
        assert len(holding) <= 3
        seen.append(len(cluster.ready()))

    watch(cluster, look)
    assert images(cluster) == ["web:2"] * 3
    assert min(seen) == 2, "one at a time"


def has_stopped(cluster: FakeCluster, task_id: str) -> bool:
    task = next(each for each in cluster.tasks() if each.id == task_id)
    status = cluster.status(task)
    return task.desired is Desired.STOP and status is not None and status.phase is Phase.STOPPED


def test_stop_first_of_a_global_service_goes_node_by_node() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    for version in ("1", "2"):
        service = a_service(mode=Mode.GLOBAL, template=a_template(version), rollout=STOP_FIRST)
        cluster.deploy(a_stack(service))
        watch(cluster, lambda: None)

    assert images(cluster) == ["web:2"] * 3
    assert {task.node for task in cluster.running()} == {"n1", "n2", "n3"}


def test_stop_first_stops_no_serving_task_while_another_seat_serves_nobody() -> None:
    cluster = a_cluster(3, STOP_FIRST)
    cluster.bad_images.add("web:2")
    deploy(cluster, "2", 3, RolloutPolicy(update=UpdatePolicy(order=Order.STOP_FIRST, parallelism=1,
                                                              failure_action=FailureAction.CONTINUE)))  # fmt: skip

    cluster.settle()

    assert images(cluster) == ["web:1", "web:1", "web:2"]


@pytest.mark.parametrize(("parallelism", "beside"), [(1, 1), (2, 2), (0, 6), (None, 2)])
def test_parallelism_is_how_many_start_beside_the_old_ones(parallelism: int | None, beside: int) -> None:
    policy = RolloutPolicy(update=UpdatePolicy(parallelism=parallelism))
    cluster = a_cluster(6, policy)
    deploy(cluster, "2", 6, policy)

    cluster.reconcile()

    assert images(cluster).count("web:2") == beside


def test_a_new_task_takes_over_when_it_has_been_ready_for_the_monitor_window() -> None:
    policy = RolloutPolicy(update=UpdatePolicy(parallelism=1, monitor_s=10))
    cluster = a_cluster(2, policy)
    cluster.now += 10
    cluster.reconcile()
    deploy(cluster, "2", 2, policy)
    cluster.reconcile()
    cluster.nodes_act()
    cluster.nodes_act()

    outcome = cluster.reconcile()
    assert images(cluster) == ["web:1", "web:1", "web:2"]
    assert outcome.wake_at == cluster.now + 10

    cluster.now += 10
    cluster.reconcile()
    assert images(cluster) == ["web:1", "web:2", "web:2"], "and it is the next one's turn"


def test_after_the_delay_it_is_the_next_ones_turn() -> None:
    policy = RolloutPolicy(update=UpdatePolicy(parallelism=1, delay_s=30))
    cluster = a_cluster(2, policy)
    deploy(cluster, "2", 2, policy)
    cluster.reconcile()
    cluster.nodes_act()
    cluster.nodes_act()

    cluster.reconcile()
    assert images(cluster) == ["web:1", "web:2"]
    cluster.now += 29
    assert cluster.look().transactions == []
    cluster.now += 1
    cluster.reconcile()
    assert images(cluster) == ["web:1", "web:2", "web:2"]


# Failure


def test_a_revision_that_fails_is_rolled_back_as_a_whole_and_no_healthy_task_ever_stops() -> None:
    cluster = a_cluster(6, RolloutPolicy())
    cluster.bad_images.add("web:2")
    deploy(cluster, "2", 6, RolloutPolicy())
    old = {task.id for task in cluster.running()}

    while rollout_state(cluster) is RolloutState.DONE or not cluster.state.rollouts[APP].value.rollback:
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1
        assert len(cluster.ready()) == 6
    cluster.settle()

    assert {task.id for task in cluster.running()} == old
    assert outcomes(cluster) == {
        1: RevisionOutcome.HEALTHY, 2: RevisionOutcome.FAILED, 3: RevisionOutcome.HEALTHY
    }  # fmt: skip
    rollout = cluster.state.rollouts[APP].value
    assert rollout.state is RolloutState.DONE
    assert rollout.undoes == a_template("2").revision()
    assert "2 new tasks of 6 failed" in rollout.reason
    assert "exits at once" in rollout.reason


def test_a_revision_that_fails_midway_leaves_no_mix() -> None:
    policy = RolloutPolicy(update=UpdatePolicy(parallelism=1))
    cluster = a_cluster(4, policy)
    deploy(cluster, "2", 4, policy)
    for _ in range(8):
        cluster.reconcile()
        cluster.nodes_act()
    assert 0 < images(cluster).count("web:1") < 4

    cluster.bad_images.add("web:2")
    for task in cluster.running():
        if task.template.image == "web:2":
            cluster.publish(task, Phase.BACKOFF, message="no more", restarts=4)
    cluster.now += 60
    cluster.settle()

    assert images(cluster) == ["web:1"] * 4
    assert rollout_state(cluster) is RolloutState.DONE


def test_one_accident_is_not_a_failure() -> None:
    cluster = a_cluster(3, RolloutPolicy())
    deploy(cluster, "2", 3, RolloutPolicy())
    cluster.reconcile()
    new = next(task for task in cluster.running() if task.template.image == "web:2")
    cluster.publish(new, Phase.BACKOFF, message="too early", restarts=1)

    cluster.now += 30
    cluster.reconcile()
    cluster.settle()

    assert images(cluster) == ["web:2"] * 3
    assert outcomes(cluster)[2] is RevisionOutcome.HEALTHY


def test_a_new_task_that_says_nothing_of_trouble_fails_at_its_deadline() -> None:
    policy = RolloutPolicy(deadline_s=100)
    cluster = a_cluster(1, policy)
    deploy(cluster, "2", 1, policy)
    cluster.reconcile()
    (new,) = (task for task in cluster.running() if task.template.image == "web:2")
    cluster.publish(new, Phase.RUNNING)

    cluster.now += 99
    assert cluster.look().transactions == []
    cluster.now += 1
    cluster.reconcile()

    assert "is not ready after 100 s" in cluster.state.rollouts[APP].value.reason


def test_a_revision_that_finds_no_room_is_rolled_back_at_the_deadline() -> None:
    policy = RolloutPolicy(deadline_s=100)
    cluster = a_cluster(1, policy)
    cluster.deploy(a_stack(a_service(template=a_template("2", memory_mib=9000), rollout=policy)))
    cluster.reconcile()

    cluster.now += 100
    cluster.reconcile()
    cluster.settle()

    assert images(cluster) == ["web:1"]
    assert "nothing has moved for 100 s: there is no room for new tasks" in cluster.state.history[APP][2].value.reason


def test_so_large_a_share_of_failures_is_put_up_with() -> None:
    policy = RolloutPolicy(update=UpdatePolicy(parallelism=4, failure_ratio_max=0.25), deadline_s=100)
    cluster = a_cluster(4, policy)
    deploy(cluster, "2", 4, policy)
    cluster.reconcile()
    new = [task for task in cluster.running() if task.template.image == "web:2"]
    for task in new:
        cluster.publish(task, Phase.RUNNING, Health.HEALTHY)
    cluster.publish(new[0], Phase.BACKOFF, message="no", restarts=5)

    cluster.now += 50
    cluster.reconcile()
    assert images(cluster) == ["web:1", *["web:2"] * 4]
    assert rollout_state(cluster) is RolloutState.RUNNING

    cluster.now += 50
    cluster.reconcile()
    assert cluster.state.rollouts[APP].value.rollback, "but not for ever: that would be a mix of revisions"


def test_with_the_action_pause_a_failed_rollout_waits_for_somebody() -> None:
    policy = RolloutPolicy(update=UpdatePolicy(failure_action=FailureAction.PAUSE))
    cluster = a_cluster(3, policy)
    cluster.bad_images.add("web:2")
    deploy(cluster, "2", 3, policy)
    cluster.settle()
    cluster.now += 30
    cluster.settle()

    assert rollout_state(cluster) is RolloutState.PAUSED
    assert len(cluster.ready()) == 3
    cluster.bad_images.clear()
    cluster.commit(rollout_commands.resume(cluster.state, APP, cluster.now))
    cluster.settle()
    assert images(cluster) == ["web:2"] * 3
    assert rollout_state(cluster) is RolloutState.DONE


def test_a_rollback_is_not_rolled_back() -> None:
    cluster = a_cluster(3, RolloutPolicy())
    cluster.bad_images |= {"web:1", "web:2"}
    deploy(cluster, "2", 3, RolloutPolicy())
    for task in cluster.running():
        cluster.publish(task, Phase.BACKOFF, restarts=9)
    for _ in range(5):
        cluster.settle()
        cluster.now += 700

    rollout = cluster.state.rollouts[APP].value
    assert (rollout.rollback, rollout.state) == (True, RolloutState.PAUSED)
    assert len(cluster.state.history[APP]) == 3


def test_a_first_revision_that_fails_has_nothing_to_go_back_to_and_is_tried_on() -> None:
    cluster = FakeCluster.of("n1")
    cluster.restarts_of_bad = 5
    cluster.bad_images.add("web:1")
    deploy(cluster, "1", 1, RolloutPolicy())
    cluster.settle()
    cluster.now += 30

    assert "no healthy one to go back to" in cluster.settle().problems[APP].message
    cluster.bad_images.clear()
    cluster.settle()
    assert outcomes(cluster) == {1: RevisionOutcome.HEALTHY}


# Canary


def test_a_canary_goes_in_steps_and_holds_each() -> None:
    policy = RolloutPolicy(update=UpdatePolicy(parallelism=0), canary=Canary(steps=(10, 50), hold_s=30))
    cluster = a_cluster(10, policy)
    deploy(cluster, "2", 10, policy)

    for new in (1, 5):
        cluster.settle()
        assert images(cluster).count("web:2") == new
        cluster.now += 30
    cluster.settle()

    assert images(cluster) == ["web:2"] * 10
    assert rollout_state(cluster) is RolloutState.DONE


def test_a_canary_that_is_held_by_hand_goes_on_when_it_is_resumed() -> None:
    policy = RolloutPolicy(canary=Canary(steps=(10,)))
    cluster = a_cluster(4, policy)
    deploy(cluster, "2", 4, policy)
    cluster.settle()
    cluster.now += 10_000
    outcome = cluster.settle()
    assert images(cluster).count("web:2") == 1
    assert outcome.problems[APP].message.endswith("waits at 10 % until it is resumed")

    cluster.commit(rollout_commands.resume(cluster.state, APP, cluster.now))
    cluster.settle()

    assert images(cluster) == ["web:2"] * 4


def test_a_canary_that_fails_is_rolled_back() -> None:
    policy = RolloutPolicy(canary=Canary(steps=(10,)))
    cluster = a_cluster(4, policy)
    deploy(cluster, "2", 4, policy)
    cluster.settle()
    canary = next(task for task in cluster.running() if task.template.image == "web:2")

    cluster.publish(canary, Phase.BACKOFF, message="slowly dying", restarts=3)
    cluster.now += 60
    cluster.reconcile()
    cluster.settle()

    assert images(cluster) == ["web:1"] * 4
    assert outcomes(cluster)[2] is RevisionOutcome.FAILED


# Blue-green


def test_blue_green_switches_when_all_new_tasks_are_ready_and_only_then_stops_the_old_ones() -> None:
    policy = RolloutPolicy(blue_green=True)
    cluster = a_cluster(3, policy)
    blue, green = a_template("1").revision(), a_template("2").revision()
    deploy(cluster, "2", 3, policy)

    cluster.reconcile()
    assert images(cluster) == ["web:1"] * 3 + ["web:2"] * 3
    assert cluster.state.rollouts[APP].value.serving == blue
    new = [task for task in cluster.running() if task.revision == green]
    for task in new[:2]:
        cluster.publish(task, Phase.RUNNING, Health.HEALTHY)
    cluster.reconcile()
    assert cluster.state.rollouts[APP].value.serving == blue
    assert images(cluster).count("web:1") == 3

    cluster.publish(new[2], Phase.RUNNING, Health.HEALTHY)
    first = cluster.look().transactions[0]
    assert cluster.commit(first)
    assert cluster.state.rollouts[APP].value.serving in (green, "")
    cluster.settle()
    assert images(cluster) == ["web:2"] * 3
    assert rollout_state(cluster) is RolloutState.DONE


def test_a_green_that_fails_never_gets_the_traffic() -> None:
    policy = RolloutPolicy(blue_green=True)
    cluster = a_cluster(3, policy)
    old = {task.id for task in cluster.running()}
    deploy(cluster, "2", 3, policy)
    cluster.reconcile()
    new = [task for task in cluster.running() if task.template.image == "web:2"]
    for task in new:
        cluster.publish(task, Phase.RUNNING, Health.HEALTHY)
    cluster.publish(new[0], Phase.BACKOFF, message="no", restarts=5)

    cluster.now += 30
    cluster.reconcile()

    assert cluster.state.rollouts[APP].value.rollback
    assert cluster.state.rollouts[APP].value.serving == a_template("1").revision()
    cluster.settle()
    assert {task.id for task in cluster.running()} == old


# By hand


def test_a_paused_rollout_begins_nothing_new_and_goes_on_when_resumed() -> None:
    policy = RolloutPolicy(update=UpdatePolicy(parallelism=1))
    cluster = a_cluster(3, policy)
    deploy(cluster, "2", 3, policy)
    cluster.reconcile()
    cluster.commit(rollout_commands.pause(cluster.state, APP, "by hand"))

    outcome = cluster.settle()
    assert images(cluster) == ["web:1", "web:1", "web:2"]
    assert outcome.problems[APP].message.endswith("is paused: by hand")

    cluster.commit(rollout_commands.resume(cluster.state, APP, cluster.now))
    cluster.settle()
    assert images(cluster) == ["web:2"] * 3


def test_an_aborted_rollout_is_taken_back() -> None:
    policy = RolloutPolicy(update=UpdatePolicy(parallelism=1))
    cluster = a_cluster(3, policy)
    deploy(cluster, "2", 3, policy)
    cluster.reconcile()
    cluster.commit(rollout_commands.abort(cluster.state, APP, cluster.now))

    cluster.settle()

    assert images(cluster) == ["web:1"] * 3
    assert outcomes(cluster)[2] is RevisionOutcome.ABORTED
    with pytest.raises(NoRollout):
        rollout_commands.abort(cluster.state, APP, cluster.now)


def test_a_rollback_goes_to_the_last_healthy_revision_or_to_a_number_and_keeps_the_replicas() -> None:
    cluster = a_cluster(1, RolloutPolicy())
    for version in ("2", "3"):
        deploy(cluster, version, 2, RolloutPolicy())
        cluster.settle()
    cluster.commit(stacks.scale(cluster.state, APP, 5))
    cluster.settle()

    cluster.commit(rollout_commands.rollback(cluster.state, APP, None, cluster.now))
    cluster.settle()
    assert images(cluster) == ["web:2"] * 5
    cluster.commit(rollout_commands.rollback(cluster.state, APP, 1, cluster.now))
    cluster.settle()
    assert images(cluster) == ["web:1"] * 5
    assert "back to revision 1: asked for" in cluster.state.history[APP][5].value.reason

    with pytest.raises(NoSuchRevision, match="there is 1, 2, 3, 4, 5"):
        rollout_commands.rollback(cluster.state, APP, 9, cluster.now)
    with pytest.raises(IsRevisionAlready):
        rollout_commands.rollback(cluster.state, APP, 1, cluster.now)


def test_there_is_nothing_to_go_back_to_after_one_deploy() -> None:
    cluster = a_cluster(1, RolloutPolicy())

    with pytest.raises(NothingToGoBackTo):
        rollout_commands.rollback(cluster.state, APP, None, cluster.now)


def test_a_failed_deploy_that_also_changed_the_number_of_replicas_is_undone_with_it() -> None:
    cluster = a_cluster(2, RolloutPolicy())
    cluster.bad_images.add("web:2")
    deploy(cluster, "2", 4, RolloutPolicy())
    cluster.settle()
    cluster.now += 30

    cluster.settle()

    assert images(cluster) == ["web:1"] * 2


def test_going_back_to_an_exclusive_revision_leaves_one_task() -> None:
    alone = a_template("1").model_copy(update={"exclusive": True})
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_service(replicas=1, template=alone, rollout=STOP_FIRST)))
    cluster.settle()
    deploy(cluster, "2", 3, RolloutPolicy())
    cluster.settle()

    cluster.commit(rollout_commands.rollback(cluster.state, APP, None, cluster.now))
    cluster.settle()

    assert images(cluster) == ["web:1"]
    assert cluster.state.rollouts[APP].value.state is RolloutState.DONE


@pytest.mark.parametrize("automatic", [False, True])
def test_a_member_of_a_pod_that_goes_back_keeps_the_pods_number(automatic: bool) -> None:
    def a_pod(version: str, replicas: int) -> StackSpec:
        templates = {"app": a_template(version), "proxy": a_template()}
        return a_stack(
            *(
                a_service(name, replicas, template=template.model_copy(update={"pod": "p"}))
                for name, template in templates.items()
            )
        )

    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.restarts_of_bad = 5
    cluster.deploy(a_pod("1", 2))
    cluster.settle()
    if automatic:
        cluster.bad_images.add("web:2")
    cluster.deploy(a_pod("2", 3))
    cluster.settle()
    if automatic:
        cluster.now += 30
    else:
        cluster.commit(rollout_commands.rollback(cluster.state, APP, None, cluster.now))
    cluster.settle()

    assert images(cluster) == ["web:1"] * 3
    assert {each.value.spec.replicas for each in cluster.state.services.values()} == {3}


def test_when_a_rollback_is_done_its_policy_is_out_of_force() -> None:
    """What was right for going back in haste says nothing of how tasks leave a drained node."""
    in_haste = UpdatePolicy(order=Order.STOP_FIRST, parallelism=0)
    cluster = a_cluster(3, RolloutPolicy(rollback=in_haste))
    deploy(cluster, "2", 3, RolloutPolicy(rollback=in_haste))
    cluster.settle()
    cluster.commit(rollout_commands.rollback(cluster.state, APP, None, cluster.now))
    cluster.settle()

    cluster.commit(nodes.drain(cluster.state, "n1", cluster.now, None))
    cluster.reconcile()
    assert len(cluster.ready()) == 3
    cluster.settle()

    assert len(cluster.ready()) == 3
    assert not [task for task in cluster.running() if task.node == "n1"]


# History


def test_a_revision_without_tasks_is_not_healthy_before_one_of_them_works() -> None:
    cluster = a_cluster(1, RolloutPolicy())
    deploy(cluster, "2", 0, RolloutPolicy())
    cluster.settle()
    assert rollout_state(cluster) is RolloutState.DONE
    assert outcomes(cluster) == {1: RevisionOutcome.HEALTHY, 2: RevisionOutcome.ROLLING}

    cluster.commit(stacks.scale(cluster.state, APP, 1))
    cluster.settle()
    assert outcomes(cluster) == {1: RevisionOutcome.HEALTHY, 2: RevisionOutcome.HEALTHY}


def test_the_history_is_bounded_and_keeps_the_last_healthy_revision() -> None:
    cluster = a_cluster(1, RolloutPolicy())
    for version in range(2, HISTORY_MAX + 5):
        deploy(cluster, str(version), 1, RolloutPolicy())
        cluster.reconcile()

    history = outcomes(cluster)
    assert len(history) == HISTORY_MAX + 1
    assert history[1] is RevisionOutcome.HEALTHY
    assert list(history.values())[1:-1] == [RevisionOutcome.SUPERSEDED] * (HISTORY_MAX - 1)


def test_rollouts_and_history_go_with_their_service() -> None:
    cluster = a_cluster(1, RolloutPolicy())

    cluster.commit(stacks.remove(cluster.state, StackName("web")))
    cluster.settle()

    assert cluster.state.rollouts == {}
    assert cluster.state.history == {}


def test_a_silent_node_fails_no_rollout() -> None:
    cluster = a_cluster(3, RolloutPolicy())
    deploy(cluster, "2", 3, RolloutPolicy())
    cluster.reconcile()
    new = next(task for task in cluster.running() if task.template.image == "web:2")
    cluster.publish(new, Phase.BACKOFF, message="no", restarts=9)

    cluster.forget_statuses()
    cluster.now += 5_000

    assert cluster.look().transactions == []
