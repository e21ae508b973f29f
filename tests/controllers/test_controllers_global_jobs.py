"""Global jobs: once on every node, as long as the node is there and takes what is to be done on it."""

from typing import Any

from job_builders import WORK, JobCluster, a_job

from swarmlet.controllers import nodes
from swarmlet.model.job import RunState, TaskOutcome
from swarmlet.model.observed import Liveness
from swarmlet.model.placement import Taint, TaintEffect
from swarmlet.model.spec import Mode

NO_MORE = Taint(key="closed")
OUT = Taint(key="broken", effect=TaintEffect.NO_EXECUTE)


def a_running_job(**policy: object) -> JobCluster:
    cluster = JobCluster.of("n1", "n2", "n3")
    cluster.endless = True
    cluster.deploy(a_job(mode=Mode.GLOBAL, **policy))
    for _ in range(4):
        cluster.tick()
    return cluster


def change_node(cluster: JobCluster, **change: Any) -> None:
    assert cluster.commit(nodes.change(cluster.state, "n2", **change))


def test_a_global_job_is_done_once_on_every_node_and_gives_up_those_that_are_lost() -> None:
    cluster = a_running_job()
    assert sorted(task.node for task in cluster.tasks(WORK)) == ["n1", "n2", "n3"]

    cluster.set_liveness("n3", Liveness.DEAD)
    cluster.endless = False
    run = cluster.until_over()
    cluster.add_node("n4")
    cluster.settle()

    assert (run.state, run.succeeded) == (RunState.SUCCEEDED, 2)
    assert len(cluster.runs()) == 1, "a node that comes later is none of its"


def test_a_global_job_starts_nothing_more_on_a_node_past_its_drains_deadline_and_gives_it_up() -> None:
    cluster = a_running_job()
    assert cluster.commit(nodes.drain(cluster.state, "n2", cluster.now, 5.0))
    for _ in range(60):
        cluster.tick()

    assert [task.outcome for task in cluster.tasks(WORK) if task.node == "n2"] == [TaskOutcome.LOST]
    assert cluster.run().state is RunState.RUNNING
    cluster.endless = False
    run = cluster.until_over()
    assert (run.state, run.succeeded, run.lost) == (RunState.SUCCEEDED, 2, 1)


def test_a_global_job_waits_for_what_runs_on_a_draining_node() -> None:
    cluster = a_running_job()
    assert cluster.commit(nodes.drain(cluster.state, "n2", cluster.now, None))
    cluster.endless = False

    run = cluster.until_over()

    assert (run.state, run.succeeded, run.started) == (RunState.SUCCEEDED, 3, 3)


def test_a_global_job_gives_up_a_node_that_no_longer_executes_its_tasks_until_it_does_again() -> None:
    cluster = a_running_job()
    change_node(cluster, taints=[OUT])
    for _ in range(10):
        cluster.tick()
    assert sorted(task.node for task in cluster.running(WORK)) == ["n1", "n3"]

    change_node(cluster, untaint=[nodes.UnwantedTaint(OUT.key)])
    cluster.endless = False
    run = cluster.until_over()

    assert (run.state, run.succeeded, run.lost) == (RunState.SUCCEEDED, 3, 1)


def test_a_global_job_does_not_try_again_on_a_node_that_takes_no_more_tasks() -> None:
    cluster = a_running_job(parallelism=1)
    change_node(cluster, taints=[NO_MORE])
    cluster.endless = False

    run = cluster.until_over()

    assert (run.state, run.succeeded) == (RunState.SUCCEEDED, 2)
    assert {task.node for task in cluster.tasks(WORK)} == {"n1", "n3"}


def test_a_global_job_of_which_nothing_is_left_to_do_anywhere_has_failed() -> None:
    cluster = a_running_job()
    for name in ("n1", "n2", "n3"):
        assert cluster.commit(nodes.change(cluster.state, name, taints=[OUT]))

    run = cluster.until_over()

    assert run.state is RunState.FAILED
    assert run.reason == "all of its nodes were lost, or take none of its tasks any more"


def test_a_global_job_has_failed_where_its_last_retry_failed_on_a_node_that_takes_no_more() -> None:
    cluster = a_running_job(retries=0)
    change_node(cluster, taints=[NO_MORE])
    cluster.failures = {2: 1}
    cluster.endless = False

    run = cluster.until_over()

    assert run.state is RunState.FAILED and run.reason == "completion 2 failed: exit status 1 on n2"
