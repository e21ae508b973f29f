"""Priorities as the leader keeps them: room is made, kept for whom it was made, and given to nobody else."""

import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template, put_keys
from job_builders import WORK, JobCluster, a_job

from swarmlet.controllers import stacks
from swarmlet.model.ids import ServiceId, StackName
from swarmlet.model.job import RunState, TaskOutcome
from swarmlet.model.spec import Mode, ServiceSpec, StackSpec

VIP = ServiceId("vip.app")
OTHER = ServiceId("other.app")


def sized(memory_mib: int, replicas: int = 1, priority: int = 0, mode: Mode = Mode.REPLICATED) -> ServiceSpec:
    service = a_service(replicas=replicas, template=a_template(memory_mib=memory_mib), mode=mode)
    return service.model_copy(update={"priority": priority})


@pytest.fixture
def full() -> FakeCluster:
    """Three nodes of 1000 MiB, each with two tasks of 500."""
    cluster = FakeCluster.of("n1", "n2", "n3", memory_mib=1000)
    cluster.settle()
    cluster.deploy(a_stack(sized(500, replicas=6)))
    cluster.settle()
    assert len(cluster.ready()) == 6
    return cluster


def test_an_important_task_displaces_one_that_is_enough(full: FakeCluster) -> None:
    full.deploy(a_stack(sized(400, priority=10), name="vip"))

    outcome = full.settle()

    assert len(full.ready(VIP)) == 1
    assert len(full.ready()) == 5
    (displaced,) = [task for task in full.tasks() if task.stop_reason.startswith("displaced")]
    assert displaced.stop_reason == "displaced by vip.app, whose priority is 10"
    assert displaced.node == full.running(VIP)[0].node
    assert outcome.problems[APP].message.startswith("no node can take 1 of 6 tasks")
    assert VIP not in outcome.problems


def test_nobody_is_displaced_where_there_is_room(full: FakeCluster) -> None:
    full.add_node("n4", memory_mib=1000)
    full.settle()
    full.deploy(a_stack(sized(400, priority=10), name="vip"))

    full.settle()

    assert len(full.ready(VIP)) == 1 and len(full.ready()) == 6


def test_the_displaced_are_placed_anew_where_there_is_room_for_them(full: FakeCluster) -> None:
    full.add_node("n4", memory_mib=600)
    full.settle()

    full.deploy(a_stack(sized(900, priority=10), name="vip"))
    full.settle()

    assert len(full.ready(VIP)) == 1
    assert len(full.ready()) == 5, "of the two displaced ones, n4 has room for one"
    assert [task.node for task in full.ready() if task.created_at > full.tasks()[0].created_at + 1] == ["n4"]


def test_while_they_stop_their_room_is_promised_and_nobody_else_is_displaced(full: FakeCluster) -> None:
    full.deploy(a_stack(sized(900, priority=10), name="vip"))
    full.reconcile()
    stopping = [task for task in full.tasks() if task.stop_reason]
    assert len(stopping) == 2

    full.deploy(a_stack(sized(100, priority=-5), name="other"))
    for _ in range(3):
        outcome = full.reconcile()
        assert [task for task in full.tasks() if task.stop_reason] == stopping
        assert full.running(OTHER) == [], "what is left on the other nodes is nothing, and here it is promised"
        assert "wait until those that make room" in outcome.problems[VIP].message
    full.nodes_act([stopping[0].id])
    full.nodes_act([stopping[0].id])
    full.reconcile()
    assert full.running(OTHER) == [], "half of the room is free by now"

    full.settle()

    assert len(full.ready(VIP)) == 1
    assert len(full.ready()) == 4


def test_a_new_leader_goes_on_where_the_old_one_stopped(full: FakeCluster) -> None:
    """Every look starts from nothing but what is agreed and observed, so one transaction at a time is enough."""
    full.deploy(a_stack(sized(900, replicas=2, priority=10), name="vip"))

    for _ in range(60):
        outcome = full.look()
        if outcome.transactions:
            assert full.commit(outcome.transactions[0])
        full.nodes_act()
        full.now += 1

    assert len(full.ready(VIP)) == 2
    assert len(full.ready()) == 2
    assert sum(task.stop_reason.startswith("displaced") for task in full.tasks()) == 4


def test_a_look_displaces_so_many_at_most_and_the_next_ones_go_on_before_others_have_their_turn() -> None:
    cluster = FakeCluster.of("n1", "n2", memory_mib=1000)
    cluster.settle()
    cluster.deploy(a_stack(sized(10, replicas=200)))
    cluster.settle()
    cluster.add_node("n3", memory_mib=10)
    cluster.settle()
    cluster.deploy(a_stack(sized(20, replicas=60, priority=10), name="vip"))
    cluster.deploy(a_stack(sized(10), name="other"))

    def displaced() -> int:
        return sum(task.stop_reason.startswith("displaced") for task in cluster.tasks())

    cluster.reconcile()
    assert 0 < displaced() < 120
    assert cluster.running(OTHER) == []
    cluster.reconcile()
    assert displaced() == 120
    cluster.settle()

    assert len(cluster.ready(VIP)) == 60
    assert len(cluster.ready()) + len(cluster.ready(OTHER)) == 81
    assert displaced() == 120


def test_equal_priorities_leave_each_other_alone(full: FakeCluster) -> None:
    full.deploy(a_stack(sized(400), name="vip"))

    outcome = full.settle()

    assert full.running(VIP) == [] and len(full.ready()) == 6
    assert outcome.problems[VIP].message.startswith("no node can take 1 of 1 tasks")


def test_the_less_important_of_two_gives_way(full: FakeCluster) -> None:
    full.add_node("n4", memory_mib=500)
    full.settle()
    full.deploy(a_stack(sized(500, priority=-5), name="other"))
    full.settle()
    assert len(full.ready(OTHER)) == 1

    full.deploy(a_stack(sized(500, priority=3), name="vip"))
    full.settle()

    assert (len(full.ready(VIP)), len(full.ready()), len(full.ready(OTHER))) == (1, 6, 0)


def test_the_more_important_service_is_placed_first_whatever_its_name() -> None:
    cluster = FakeCluster.of("n1", memory_mib=600)
    cluster.settle()
    cluster.deploy(a_stack(sized(500), name="aaa"))
    cluster.deploy(a_stack(sized(500, priority=1), name="zzz"))

    outcome = cluster.reconcile()

    assert sum(key.startswith("tasks/") for each in outcome.transactions for key in put_keys(each)) == 1
    assert len(cluster.running(ServiceId("zzz.app"))) == 1


def test_a_global_service_displaces_on_every_node(full: FakeCluster) -> None:
    full.deploy(a_stack(sized(300, priority=5, mode=Mode.GLOBAL), name="vip"))

    full.settle()

    assert {task.node for task in full.ready(VIP)} == {"n1", "n2", "n3"}
    assert len(full.ready()) == 3


def important_job(memory_mib: int, priority: int, **policy: object) -> StackSpec:
    stack = a_job(memory_mib=memory_mib, **policy)
    work = stack.services["work"].model_copy(update={"priority": priority})
    return stack.model_copy(update={"services": {"work": work}})


def test_a_task_of_a_job_gives_way_and_its_run_goes_on_later_without_counting_a_failure() -> None:
    cluster = JobCluster.of("n1", memory_mib=1000)
    cluster.endless = True
    cluster.deploy(a_job(memory_mib=400, completions=2, parallelism=2, retries=0))
    cluster.settle()
    assert len(cluster.alive_tasks()) == 2

    cluster.deploy(a_stack(sized(600, priority=10), name="vip"))
    outcome = cluster.settle()

    (displaced,) = cluster.outcomes(TaskOutcome.LOST)
    assert displaced.stop_reason == "displaced by vip.app, whose priority is 10"
    assert len(cluster.ready(VIP)) == 1 and len(cluster.alive_tasks()) == 1
    assert (cluster.run().state, cluster.run().lost, cluster.run().failed) == (RunState.RUNNING, 1, 0)
    assert outcome.problems[WORK].message.startswith("no node can take 1 of 2 tasks of run 1")

    cluster.commit(stacks.remove(cluster.state, StackName("vip")))
    cluster.endless = False
    assert cluster.until_over().state is RunState.SUCCEEDED


def test_an_important_job_displaces_a_service_until_it_is_over() -> None:
    cluster = JobCluster.of("n1", memory_mib=1000)
    cluster.deploy(a_stack(sized(400, replicas=2), name="app"))
    cluster.settle()
    served = ServiceId("app.app")

    cluster.deploy(important_job(500, priority=3))
    cluster.tick()
    cluster.tick()
    displaced = [task for task in cluster.tasks(served) if task.stop_reason]
    assert [task.stop_reason for task in displaced] == ["displaced by web.work, whose priority is 3"]

    assert cluster.until_over().state is RunState.SUCCEEDED
    cluster.settle()
    assert len(cluster.ready(served)) == 2


def test_jobs_of_equal_priority_leave_each_other_alone() -> None:
    cluster = JobCluster.of("n1", memory_mib=1000)
    cluster.endless = True
    cluster.deploy(important_job(600, priority=3, completions=2, parallelism=2))

    outcome = cluster.settle()

    assert len(cluster.alive_tasks()) == 1
    assert cluster.run().lost == 0
    assert outcome.problems[WORK].message.startswith("no node can take 1 of 2 tasks of run 1")


def test_tasks_of_a_removed_job_are_displaced_by_nobody() -> None:
    """They are told to stop anyhow; until they are gone their room is waited for."""
    cluster = JobCluster.of("n1", memory_mib=1000)
    cluster.endless = True
    cluster.deploy(a_job(memory_mib=600))
    cluster.deploy(a_stack(sized(100), name="other"))
    cluster.settle()

    cluster.commit(stacks.remove(cluster.state, StackName("web")))
    cluster.deploy(a_stack(sized(600, priority=10), name="vip"))
    cluster.settle()

    assert cluster.tasks(WORK) == []
    assert len(cluster.ready(VIP)) == len(cluster.ready(OTHER)) == 1
