"""Rollouts, start-first; and the order in which services start for the first time."""

import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template

from swarmlet.controllers import stacks
from swarmlet.model.ids import ServiceId, StackName
from swarmlet.model.objects import Desired
from swarmlet.model.observed import Liveness, Phase
from swarmlet.model.spec import DependencyCondition, Mode, StackSpec

DB = ServiceId("web.db")


def a_cluster_with(replicas: int, memory_mib: int = 4096, needs_mib: int = 0) -> FakeCluster:
    cluster = FakeCluster.of("n1", "n2", "n3", memory_mib=memory_mib)
    cluster.deploy(a_stack(a_service(replicas=replicas, template=a_template("1", needs_mib))))
    cluster.settle()
    return cluster


def deploy(cluster: FakeCluster, version: str, replicas: int, needs_mib: int = 0) -> None:
    cluster.deploy(a_stack(a_service(replicas=replicas, template=a_template(version, needs_mib))))


def images(cluster: FakeCluster) -> list[str]:
    return sorted(task.template.image for task in cluster.running())


def test_a_new_revision_starts_beside_the_old_one_a_third_at_a_time() -> None:
    cluster = a_cluster_with(6)
    deploy(cluster, "2", 6)

    cluster.reconcile()

    assert images(cluster) == ["web:1"] * 6 + ["web:2"] * 2


def test_an_old_task_stops_only_when_its_successor_is_ready() -> None:
    cluster = a_cluster_with(3)
    deploy(cluster, "2", 3)
    cluster.reconcile()
    cluster.nodes_act()
    assert cluster.look().transactions == []

    cluster.nodes_act()
    cluster.reconcile()

    (stopped,) = [task for task in cluster.tasks() if task.desired is Desired.STOP]
    new = [task for task in cluster.running() if task.template.image == "web:2"]
    assert stopped.slot == min(task.slot for task in new)
    assert stopped.stop_reason == f"replaced by revision {new[0].revision}"


def test_a_rollout_ends_as_evenly_spread_as_a_fresh_start() -> None:
    cluster = a_cluster_with(9)

    deploy(cluster, "2", 9)
    cluster.settle()

    assert images(cluster) == ["web:2"] * 9
    assert sorted(sum(task.node == node for task in cluster.running()) for node in cluster.nodes) == [3, 3, 3]


def test_a_revision_that_never_gets_ready_leaves_the_old_one_serving_and_says_why() -> None:
    cluster = a_cluster_with(3)
    cluster.bad_images.add("web:2")
    deploy(cluster, "2", 3)

    outcome = cluster.settle()

    assert [task.template.image for task in cluster.ready()] == ["web:1"] * 3
    assert len(cluster.running()) == 4
    problem = outcome.problems[APP]
    assert "1 new task does not become ready" in problem.message
    assert [reason.endswith("exits at once") for reason in problem.per_node.values()] == [True]


def test_a_new_task_that_ended_well_does_not_replace_one_that_serves() -> None:
    cluster = a_cluster_with(1)
    deploy(cluster, "2", 1)
    cluster.reconcile()
    new = next(task for task in cluster.running() if task.template.image == "web:2")

    cluster.publish(new, Phase.EXITED, exit_code=0)
    outcome = cluster.reconcile()

    assert images(cluster) == ["web:1", "web:2"]
    assert outcome.problems[APP].per_node == {new.node: f"task {new.id} ended with exit status 0"}


@pytest.mark.parametrize(("exit_code", "left"), [(0, ["web:2"]), (1, ["web:1", "web:2"])])
def test_a_new_task_that_has_done_its_work_replaces_one_that_is_not_ready(exit_code: int, left: list[str]) -> None:
    cluster = a_cluster_with(1)
    cluster.publish(cluster.running()[0], Phase.BACKOFF)
    deploy(cluster, "2", 1)
    cluster.reconcile()
    new = next(task for task in cluster.running() if task.template.image == "web:2")

    cluster.publish(new, Phase.EXITED, exit_code=exit_code)
    cluster.reconcile()

    assert images(cluster) == left


def test_a_service_that_runs_once_is_rolled_out_by_running_once_more() -> None:
    cluster = a_cluster_with(1)
    cluster.publish(cluster.running()[0], Phase.EXITED, exit_code=0)
    deploy(cluster, "2", 1)
    cluster.reconcile()
    new = next(task for task in cluster.running() if task.template.image == "web:2")

    cluster.publish(new, Phase.EXITED, exit_code=0)
    cluster.reconcile()

    assert images(cluster) == ["web:2"]


def test_a_newer_revision_first_stops_the_unfinished_tasks_of_the_one_before() -> None:
    cluster = a_cluster_with(3)
    cluster.bad_images.add("web:2")
    deploy(cluster, "2", 3)
    cluster.settle()

    deploy(cluster, "3", 3)
    cluster.reconcile()

    stopped = [task for task in cluster.tasks() if task.desired is Desired.STOP]
    assert [task.template.image for task in stopped] == ["web:2"]
    assert stopped[0].stop_reason.startswith("superseded by revision")
    cluster.settle()
    assert images(cluster) == ["web:3"] * 3


def test_going_back_to_the_old_revision_stops_the_new_tasks_only() -> None:
    cluster = a_cluster_with(3)
    old = {task.id for task in cluster.running()}
    cluster.bad_images.add("web:2")
    deploy(cluster, "2", 3)
    cluster.settle()

    deploy(cluster, "1", 3)
    cluster.settle()

    assert {task.id for task in cluster.running()} == old


def test_a_revision_that_does_not_fit_beside_the_old_one_waits_and_says_why() -> None:
    cluster = a_cluster_with(3, memory_mib=600, needs_mib=512)
    deploy(cluster, "2", 3, needs_mib=512)

    outcome = cluster.settle()

    assert images(cluster) == ["web:1"] * 3
    assert "no room for new tasks beside the old ones" in outcome.problems[APP].message
    assert outcome.problems[APP].per_node["n1"] == "needs 512 MiB of memory, 88 MiB free"


def test_a_change_of_replicas_alone_replaces_nothing() -> None:
    cluster = a_cluster_with(3)
    before = {task.id for task in cluster.running()}

    deploy(cluster, "1", 5)
    cluster.settle()

    assert before < {task.id for task in cluster.running()}


def test_a_lost_node_in_mid_rollout_is_made_up_for_with_the_new_revision() -> None:
    cluster = a_cluster_with(6)
    deploy(cluster, "2", 6)
    cluster.reconcile()

    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.reconcile()
    assert len({task.slot for task in cluster.running()}) == 6

    cluster.settle()
    assert images(cluster) == ["web:2"] * 6


def test_a_global_service_rolls_out_node_by_node() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_service(mode=Mode.GLOBAL)))
    cluster.settle()

    cluster.deploy(a_stack(a_service(mode=Mode.GLOBAL, template=a_template("2"))))
    cluster.reconcile()
    assert images(cluster) == ["web:1"] * 3 + ["web:2"]

    cluster.settle()
    assert images(cluster) == ["web:2"] * 3
    assert {task.node for task in cluster.running()} == {"n1", "n2", "n3"}


def test_a_new_leader_without_statuses_stops_nothing_in_mid_rollout() -> None:
    cluster = a_cluster_with(3)
    deploy(cluster, "2", 3)
    cluster.reconcile()
    before = cluster.tasks()

    cluster.forget_statuses()

    assert cluster.look().transactions == []
    assert cluster.tasks() == before


def dependent_stack(condition: DependencyCondition, version: str = "1") -> StackSpec:
    template = a_template(version)
    return a_stack(
        a_service("db", replicas=2, template=template),
        a_service("app", template=template, depends_on={"db": condition}),
    )


def test_the_first_start_waits_until_the_dependency_is_healthy() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(dependent_stack(DependencyCondition.HEALTHY))

    cluster.reconcile()
    outcome = cluster.look()
    assert cluster.tasks() == []
    assert outcome.problems[APP].message == "waits for db (0 of 2 tasks ready)"

    assert cluster.settle().problems == {}
    assert len(cluster.ready()) == 1


def test_a_dependency_that_runs_or_has_ended_has_started() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(dependent_stack(DependencyCondition.STARTED))
    cluster.reconcile()
    one, other = cluster.tasks(DB)

    cluster.publish(one, Phase.RUNNING)
    cluster.reconcile()
    assert cluster.tasks() == []

    cluster.publish(other, Phase.EXITED, exit_code=0)
    cluster.reconcile()
    assert len(cluster.tasks()) == 1


def test_a_later_redeploy_does_not_wait() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(dependent_stack(DependencyCondition.HEALTHY))
    cluster.settle()
    for task in cluster.tasks(DB):
        cluster.publish(task, Phase.BACKOFF)

    cluster.deploy(dependent_stack(DependencyCondition.HEALTHY, version="2"))
    outcome = cluster.reconcile()

    assert "waits for db" not in str(outcome.problems)
    assert images(cluster) == ["web:1", "web:2"]


def test_a_stack_that_was_removed_and_comes_back_starts_in_order_again() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(dependent_stack(DependencyCondition.HEALTHY))
    cluster.settle()
    assert cluster.commit(stacks.remove(cluster.state, StackName("web")))
    cluster.reconcile()

    cluster.deploy(dependent_stack(DependencyCondition.HEALTHY))
    cluster.reconcile()

    assert cluster.running() == []
    cluster.settle()
    assert len(cluster.ready()) == 1
