"""What is kept of jobs: a bounded history, the run that others wait for, and nothing of one that was removed."""

from controllers_builders import APP, a_service, a_stack
from job_builders import WORK, JobCluster, a_job, ask_for_a_run

from swarmlet.controllers import stacks
from swarmlet.controllers.job_retention import TASKS_KEPT_MAX
from swarmlet.model.ids import StackName
from swarmlet.model.job import JOBS, RunState, TaskOutcome
from swarmlet.model.observed import Liveness
from swarmlet.model.spec import DependencyCondition, Mode
from swarmlet.model.transaction import Transaction


def test_only_a_bounded_history_with_a_few_tasks_of_each_run_is_kept() -> None:
    cluster = JobCluster.of("n1", "n2", "n3")
    cluster.deploy(a_job(completions=TASKS_KEPT_MAX + 5, history_succeeded=2))
    cluster.until_over()
    for number in range(3):
        ask_for_a_run(cluster, str(number))
        cluster.until_over()

    cluster.settle()

    assert [run.number for run in cluster.runs()] == [3, 4]
    assert len(cluster.tasks(WORK)) == 2 * TASKS_KEPT_MAX


def test_without_a_history_the_run_that_others_wait_for_is_remembered_without_its_tasks() -> None:
    cluster = JobCluster.of("n1", "n2", "n3")
    cluster.failures = {1: 1}
    job = a_job(retries=0, history_succeeded=0, history_failed=0).services["work"]
    app = a_service("app", depends_on={"work": DependencyCondition.COMPLETED})
    cluster.deploy(a_stack(job, app))
    cluster.settle()
    assert [run.state for run in cluster.runs()] == [RunState.FAILED]
    assert "whose run 1 failed" in cluster.look().problems[APP].message

    cluster.deploy(a_stack(job, app))
    cluster.settle()

    assert [(run.number, run.state) for run in cluster.runs()] == [(2, RunState.SUCCEEDED)]
    assert (len(cluster.ready()), cluster.tasks(WORK)) == (1, [])


def test_without_a_history_a_failed_run_is_remembered_while_the_next_revision_cannot_begin() -> None:
    cluster = JobCluster.of("n1")
    cluster.endless = True
    cluster.deploy(a_job("1", Mode.GLOBAL, history_failed=0))
    cluster.settle()
    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.deploy(a_job("2", Mode.GLOBAL, history_failed=0))
    cluster.settle()

    cluster.deploy(a_job("1", Mode.GLOBAL, history_failed=0))
    cluster.set_liveness("n1", Liveness.ALIVE)
    cluster.endless = False

    assert cluster.until_over().state is RunState.SUCCEEDED


def test_without_a_history_a_schedules_runs_are_forgotten() -> None:
    cluster = JobCluster.of("n1", "n2", "n3")
    cluster.deploy(a_job(schedule="0 0 * * *", history_succeeded=0))
    cluster.settle()
    ask_for_a_run(cluster)
    cluster.until_over()
    cluster.settle()

    assert cluster.runs() == []


def test_a_removed_job_leaves_nothing_and_runs_again_when_it_is_deployed_anew() -> None:
    cluster = JobCluster.of("n1", "n2", "n3")
    cluster.deploy(a_job())
    cluster.until_over()
    cluster.commit(stacks.remove(cluster.state, StackName("web")))
    cluster.deploy(a_job())
    cluster.settle()
    assert [run.number for run in cluster.runs()] == [1, 2]

    cluster.commit(stacks.remove(cluster.state, StackName("web")))
    cluster.settle()

    assert (cluster.state.jobs, cluster.state.job_runs, cluster.state.tasks) == ({}, {}, {})


def test_a_job_is_removed_while_its_node_is_lost() -> None:
    cluster = JobCluster.of("n1", "n2")
    cluster.endless = True
    cluster.deploy(a_job(completions=2))
    for _ in range(3):
        cluster.tick()

    cluster.commit(stacks.remove(cluster.state, StackName("web")))
    cluster.set_liveness("n1", Liveness.DEAD)
    cluster.settle()

    assert (cluster.refused, cluster.state.tasks, cluster.state.job_runs) == ([], {}, {})


def test_a_job_that_is_deployed_anew_is_not_taken_for_the_removed_one_that_its_node_still_shows() -> None:
    cluster = JobCluster.of("n1")
    cluster.deploy(a_job())
    cluster.until_over()
    (former,) = cluster.tasks(WORK)
    cluster.commit(stacks.remove(cluster.state, StackName("web")))
    for _ in range(3):
        cluster.reconcile()
    assert cluster.state.tasks == {} and cluster.status(former) is not None

    cluster.deploy(a_job())
    for _ in range(2):
        cluster.reconcile()

    assert [task.id != former.id for task in cluster.tasks(WORK)] == [True]


def test_a_job_that_is_deployed_anew_while_its_removed_task_still_stops_runs_when_that_is_gone() -> None:
    cluster = JobCluster.of("n1", "n2", "n3")
    cluster.endless = True
    cluster.deploy(a_job())
    for _ in range(4):
        cluster.tick()
    cluster.commit(stacks.remove(cluster.state, StackName("web")))
    cluster.reconcile()

    cluster.deploy(a_job())
    cluster.endless = False
    run = cluster.until_over()

    assert [each.state for each in cluster.runs()] == [RunState.CANCELLED, RunState.SUCCEEDED]
    assert (cluster.runs()[0].reason, run.succeeded) == ("the job was deployed anew", 1)
    assert [task.stop_reason for task in cluster.outcomes(TaskOutcome.STOPPED)] == ["service removed"]


def test_a_job_that_was_a_service_for_a_moment_goes_on() -> None:
    cluster = JobCluster.of("n1", "n2", "n3")
    cluster.endless = True
    cluster.deploy(a_job())
    for _ in range(4):
        cluster.tick()
    cluster.deploy(a_stack(a_service("work", template=a_job().services["work"].template)))
    clearing = next(each for each in cluster.look().transactions if "removed jobs" in each.reason)
    # As in the first of several such transactions: its task is stopped, its object still there.
    stops = tuple(each for each in clearing.operations if not each.key.startswith(JOBS))
    assert cluster.commit(Transaction(clearing.compares, stops))

    cluster.deploy(a_job())
    cluster.endless = False
    run = cluster.until_over()

    assert (len(cluster.runs()), run.state, run.failed, run.lost) == (1, RunState.SUCCEEDED, 0, 0)


def test_a_service_that_becomes_a_job_and_back_takes_its_tasks_along() -> None:
    cluster = JobCluster.of("n1", "n2", "n3")
    cluster.deploy(a_stack(a_service("work", replicas=2)))
    cluster.settle()

    cluster.deploy(a_job("2"))
    cluster.settle()
    assert [task.run for task in cluster.tasks(WORK)] == [cluster.run().id]

    cluster.deploy(a_stack(a_service("work", replicas=2)))
    cluster.settle()
    assert cluster.state.job_runs == {}
    assert {task.run for task in cluster.tasks(WORK)} == {""}
