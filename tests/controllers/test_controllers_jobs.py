"""Jobs that run once: completions, retries, deadline, lost nodes, cancelling, what waits for them."""

import pytest
from controllers_builders import APP, START, a_service, a_stack, a_template
from job_builders import WORK, JobCluster, a_job, ask_for_a_run

from swarmlet.controllers import job_commands, stacks
from swarmlet.controllers.job_errors import RunInTheWay, RunIsOver, UnknownJob
from swarmlet.controllers.stack_errors import JobNotScalable
from swarmlet.model.ids import ServiceId
from swarmlet.model.job import RunState, TaskOutcome
from swarmlet.model.objects import Drain
from swarmlet.model.observed import Liveness
from swarmlet.model.spec import DependencyCondition
from swarmlet.model.transaction import Compare, Transaction, put


def a_cluster(*names: str) -> JobCluster:
    cluster = JobCluster()
    for name in names or ("n1", "n2", "n3"):
        cluster.add_node(name)
    return cluster


def test_a_job_runs_once_for_each_revision() -> None:
    cluster = a_cluster()
    cluster.deploy(a_job())

    first = cluster.until_over()
    cluster.settle()
    cluster.deploy(a_job())
    cluster.settle()
    assert (first.state, first.succeeded, len(cluster.runs())) == (RunState.SUCCEEDED, 1, 1)

    cluster.deploy(a_job("2"))
    cluster.settle()
    assert [run.state for run in cluster.runs()] == [RunState.SUCCEEDED, RunState.SUCCEEDED]
    assert cluster.runs()[1].revision != first.revision


def test_completions_are_reached_in_parallel_and_spread() -> None:
    cluster = a_cluster()
    cluster.deploy(a_job(completions=7, parallelism=3))
    cluster.reconcile()
    cluster.reconcile()

    assert [task.slot for task in cluster.tasks(WORK)] == [1, 2, 3]
    assert {task.node for task in cluster.tasks(WORK)} == {"n1", "n2", "n3"}
    assert cluster.until_over().succeeded == 7
    assert sorted(task.slot for task in cluster.outcomes(TaskOutcome.SUCCEEDED)) == [1, 2, 3, 4, 5, 6, 7]


def test_a_failed_completion_is_tried_again_after_its_back_off_doubled_each_time() -> None:
    cluster = a_cluster()
    cluster.failures = {1: 3}
    cluster.deploy(a_job(backoff_s=10))

    run = cluster.until_over()

    assert (run.state, run.failed, run.succeeded) == (RunState.SUCCEEDED, 3, 1)
    failed = cluster.outcomes(TaskOutcome.FAILED)
    starts = [task.created_at for task in cluster.tasks(WORK)]
    waits = [start - task.stopped_at for task, start in zip(failed, starts[1:], strict=True)]
    assert waits == [10, 20, 40]
    assert {task.stop_reason for task in failed} == {"exit status 1"}


def test_a_completion_without_retries_left_fails_the_run_with_its_reason_and_stops_the_others() -> None:
    cluster = a_cluster()
    cluster.failures = {2: 9}
    cluster.deploy(a_job(completions=2, retries=1, backoff_s=0))

    run = cluster.until_over()
    cluster.settle()

    assert run.state is RunState.FAILED
    assert run.reason.startswith("completion 2 failed 2 times, at last: exit status 1 on n")
    assert cluster.running(WORK) == []


def test_the_deadline_ends_a_run_and_its_tasks() -> None:
    cluster = a_cluster()
    cluster.endless = True
    cluster.deploy(a_job(completions=3, deadline_s=30))

    run = cluster.until_over()

    assert run.state is RunState.FAILED and run.reason == "deadline: not over after 30 s"
    assert run.ended_at == START + 30
    cluster.settle()
    assert len(cluster.outcomes(TaskOutcome.STOPPED)) == 3
    assert cluster.alive_tasks() == []


def test_the_leader_asks_to_be_woken_for_the_deadline_and_for_the_end_of_a_back_off() -> None:
    cluster = a_cluster()
    cluster.failures = {1: 1}
    cluster.deploy(a_job(deadline_s=300, backoff_s=25))
    for _ in range(5):
        cluster.tick()

    (failed,) = cluster.outcomes(TaskOutcome.FAILED)
    assert cluster.look().wake_at == failed.stopped_at + 25


def test_a_lost_nodes_tasks_are_retried_elsewhere_without_counting_as_failures() -> None:
    cluster = a_cluster()
    cluster.endless = True
    cluster.deploy(a_job(completions=3, retries=0))
    for _ in range(3):
        cluster.tick()

    cluster.set_liveness("n2", Liveness.DEAD)
    cluster.endless = False
    run = cluster.until_over()

    assert (run.state, run.failed, run.lost, run.succeeded) == (RunState.SUCCEEDED, 0, 1, 3)
    (lost,) = cluster.outcomes(TaskOutcome.LOST)
    assert [task.node for task in cluster.tasks(WORK) if task.slot == lost.slot][-1] != "n2"


def test_a_completion_stays_reached_when_its_node_is_lost_afterwards() -> None:
    cluster = a_cluster("n1")
    cluster.deploy(a_job())
    cluster.until_over()
    cluster.settle()

    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.settle()

    assert cluster.run().state is RunState.SUCCEEDED
    assert len(cluster.tasks(WORK)) == 1


def test_a_drain_lets_tasks_of_jobs_end_until_its_deadline() -> None:
    cluster = a_cluster("n1", "n2")
    cluster.endless = True
    cluster.deploy(a_job())
    for _ in range(3):
        cluster.tick()
    (task,) = cluster.tasks(WORK)
    node = cluster.state.nodes[task.node]
    drained = node.value.model_copy(update={"cordoned": True, "drain": Drain(since=0, deadline=cluster.now + 10)})
    assert cluster.commit(Transaction((Compare(drained.key, node.revision),), (put(drained.key, drained),)))

    cluster.tick(9)
    cluster.reconcile()
    assert len(cluster.running(WORK)) == 1
    cluster.now += 1
    for _ in range(5):
        cluster.tick()

    (moved,) = cluster.running(WORK)
    assert moved.node != task.node
    assert [each.id for each in cluster.outcomes(TaskOutcome.LOST)] == [task.id]


def test_another_revision_cancels_what_runs_and_runs_when_nothing_of_it_is_left() -> None:
    cluster = a_cluster()
    cluster.endless = True
    cluster.deploy(a_job())
    for _ in range(3):
        cluster.tick()

    cluster.deploy(a_job("2"))
    cluster.reconcile()
    cluster.reconcile()
    old, new = cluster.runs()
    assert (old.state, new.state) == (RunState.CANCELLED, RunState.PENDING)
    assert old.reason == f"revision {new.revision} was deployed"
    assert "waits until nothing of an earlier run is left" in cluster.look().problems[WORK].message
    for _ in range(5):
        cluster.tick()
    assert cluster.run().state is RunState.RUNNING


def test_a_run_that_is_asked_for_twice_with_one_token_begins_once() -> None:
    cluster = a_cluster()
    cluster.deploy(a_job())
    cluster.until_over()

    assert ask_for_a_run(cluster)
    again = job_commands.run_now(cluster.state, WORK, "t", (), cluster.now)

    assert again.operations == ()
    assert [run.number for run in cluster.runs()] == [1, 2]
    with pytest.raises(RunInTheWay):
        job_commands.run_now(cluster.state, WORK, "other", (), cluster.now)


def test_a_cancelled_run_is_over_at_once_and_its_tasks_are_stopped() -> None:
    cluster = a_cluster()
    cluster.endless = True
    cluster.deploy(a_job(completions=2))
    for _ in range(3):
        cluster.tick()

    assert cluster.commit(job_commands.cancel(cluster.state, cluster.run().id, cluster.now))
    cluster.settle()

    assert (cluster.run().state, cluster.run().reason) == (RunState.CANCELLED, "cancelled on request")
    assert cluster.alive_tasks() == []
    with pytest.raises(RunIsOver):
        job_commands.cancel(cluster.state, cluster.run().id, cluster.now)


def test_tasks_of_jobs_take_their_room_from_services() -> None:
    cluster = a_cluster("n1")
    cluster.endless = True
    cluster.deploy(a_job(memory_mib=3000))
    for _ in range(3):
        cluster.tick()

    template = a_template(memory_mib=2000)
    cluster.commit(stacks.deploy(cluster.state, a_stack(a_service("app", template=template), name="big"), cluster.now))

    assert "no node can take" in cluster.reconcile().problems[ServiceId("big.app")].message
    assert cluster.tasks(ServiceId("big.app")) == []


def test_a_run_that_finds_no_room_says_so() -> None:
    cluster = a_cluster("n1")
    cluster.deploy(a_job(completions=3, memory_mib=3000))
    cluster.reconcile()

    problem = cluster.reconcile().problems[WORK]

    assert problem.message == "no node can take 2 of 3 tasks of run 1"
    assert "n1" in problem.per_node


def test_a_job_waits_for_what_it_depends_on_and_others_wait_for_its_success() -> None:
    cluster = a_cluster()
    job = a_job().services["work"].model_copy(update={"depends_on": {"db": DependencyCondition.HEALTHY}})
    app = a_service("app", depends_on={"work": DependencyCondition.HEALTHY})
    cluster.deploy(a_stack(a_service("db"), job, app))
    cluster.reconcile()

    assert cluster.reconcile().problems[WORK].message == "run 1 waits for db (0 of 1 tasks ready)"
    assert cluster.tasks() == []
    cluster.settle()

    assert len(cluster.ready()) == 1
    assert cluster.tasks()[0].created_at >= cluster.run().ended_at > 0


def test_an_earlier_revision_deployed_again_has_not_run_until_it_has_again() -> None:
    cluster = a_cluster()
    for version in "12":
        cluster.deploy(a_job(version))
        cluster.until_over()
    app = a_service("app", depends_on={"work": DependencyCondition.STARTED})

    cluster.deploy(a_stack(a_job("1").services["work"], app))

    assert cluster.look().problems[APP].message == "waits for work (its run has not started)"
    cluster.settle()
    assert len(cluster.runs()) == 3
    assert cluster.tasks()[0].created_at >= cluster.run().started_at


def test_what_depends_on_a_job_goes_by_its_latest_run() -> None:
    cluster = a_cluster()
    cluster.failures = {1: 1}
    cluster.deploy(a_job(retries=0))
    cluster.until_over()
    app = a_service("app", depends_on={"work": DependencyCondition.HEALTHY})
    with_app = a_stack(a_job(retries=0).services["work"], app)

    cluster.deploy(with_app)
    assert cluster.look().problems[APP].message == "waits for work (its run has not succeeded)"
    cluster.failures = {1: 1}
    cluster.until_over()
    assert f"waits for work, whose run 2 failed: {cluster.run().reason}" in cluster.look().problems[APP].message
    ask_for_a_run(cluster)
    cluster.until_over()
    cluster.settle()

    assert len(cluster.ready()) == 1


def test_a_large_run_starts_in_several_transactions_that_are_each_small() -> None:
    cluster = a_cluster()
    cluster.deploy(a_job(completions=250))
    cluster.reconcile()
    sizes = [len(each.operations) for _ in range(4) for each in cluster.reconcile().transactions]

    assert sizes == [101, 101, 51]
    assert cluster.until_over().succeeded == 250


def test_what_is_no_job_is_refused() -> None:
    cluster = a_cluster()
    cluster.deploy(a_stack(a_service("app")))
    with pytest.raises(UnknownJob, match=r"there is no job 'web.app'; there is none at all"):
        job_commands.run_now(cluster.state, ServiceId("web.app"), "t", (), 0)
    cluster.deploy(a_job())
    with pytest.raises(JobNotScalable):
        stacks.scale(cluster.state, WORK, 3)


def test_two_leaders_cannot_both_start_tasks() -> None:
    cluster = a_cluster()
    cluster.deploy(a_job(completions=4, parallelism=2))
    cluster.reconcile()
    slow = cluster.look().transactions
    cluster.reconcile()

    assert [cluster.commit(each) for each in slow] == [False]
    assert len(cluster.tasks(WORK)) == 2


def test_nothing_is_left_to_do_after_a_look() -> None:
    cluster = a_cluster()
    cluster.failures = {1: 2}
    cluster.deploy(a_job(completions=5, parallelism=2, backoff_s=3))
    cluster.reconcile()
    while not cluster.runs() or cluster.run().state.is_active:
        cluster.reconcile()
        assert cluster.look().transactions == []
        cluster.nodes_act()
        cluster.now += 1


def test_ids_are_derived_so_that_a_decision_made_twice_is_made_once() -> None:
    ids = []
    for _ in range(2):
        cluster = a_cluster()
        cluster.deploy(a_job())
        cluster.reconcile()
        cluster.reconcile()
        ids.append((cluster.run().id, cluster.tasks(WORK)[0].id))

    assert ids[0] == ids[1]


def test_a_job_that_failed_runs_again_with_the_next_deploy_of_the_same() -> None:
    cluster = a_cluster()
    cluster.failures = {1: 1}
    cluster.deploy(a_job(retries=0))
    assert cluster.until_over().state is RunState.FAILED
    cluster.settle()

    cluster.deploy(a_job(retries=0))
    cluster.settle()
    cluster.deploy(a_job(retries=0))
    cluster.settle()

    assert [run.state for run in cluster.runs()] == [RunState.FAILED, RunState.SUCCEEDED]
