"""A hostile life of a job: failures, lost nodes, interrupted and slow leaders, redeploys, cancelled and asked-for runs,
and a more important service that comes and goes.

Checked at every step: never more tasks at once than the parallelism, never a completion reached twice, no more of them
than asked for, and a run that is over stays so. At the end, whatever happened, every run is over.
"""

from collections import Counter
from random import Random

import hypothesis.strategies as st
from controllers_builders import a_service, a_stack, a_template
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import initialize, invariant, rule
from job_builders import WORK, JobCluster, a_job
from leader_builders import SlowLeaders

from swarmlet.controllers import job_commands, stacks
from swarmlet.controllers.job_errors import JobRefused
from swarmlet.model.job import Concurrency, RunState, TaskOutcome
from swarmlet.model.observed import Liveness

NODES = ("n1", "n2", "n3")
LOOKS_MAX = 6
IMPORTANT = a_stack(
    a_service(replicas=3, template=a_template(memory_mib=3500)).model_copy(update={"priority": 5}), name="vip"
)


class JobLife(SlowLeaders):
    @initialize(
        completions=st.integers(1, 6),
        parallelism=st.integers(1, 4),
        retries=st.integers(0, 2),
        deadline_s=st.sampled_from([0.0, 40.0]),
        concurrency=st.sampled_from(Concurrency),
        schedule=st.sampled_from(["", "*/20 * * * * *"]),
    )
    def start(self, **policy: object) -> None:
        self.policy = {**policy, "backoff_s": 2, "history_succeeded": 3, "history_failed": 3}
        self.cluster = JobCluster()
        for name in NODES:
            self.cluster.add_node(name)
        self.over: dict[str, RunState] = {}
        self.moments: set[float] = set()
        self.tokens = 0
        self.deploy("1")

    # Users

    @rule(version=st.sampled_from("12"))
    def deploy(self, version: str) -> None:
        self.cluster.deploy(a_job(version, memory_mib=500, **self.policy))

    @rule()
    def somebody_asks_for_a_run(self) -> None:
        self.tokens += 1
        try:
            wanted = job_commands.run_now(self.cluster.state, WORK, str(self.tokens), (), self.cluster.now)
        except JobRefused:
            return
        assert self.cluster.commit(wanted)

    @rule()
    def somebody_cancels(self) -> None:
        active = [run for run in self.cluster.runs() if run.state.is_active]
        if active:
            assert self.cluster.commit(job_commands.cancel(self.cluster.state, active[0].id, self.cluster.now))

    @rule()
    def an_important_service_comes(self) -> None:
        """It leaves room for one of the job's tasks on each node."""
        self.cluster.deploy(IMPORTANT)

    @rule()
    def the_important_service_goes(self) -> None:
        self.remove_important()

    def remove_important(self) -> None:
        if IMPORTANT.name in self.cluster.state.stacks:
            assert self.cluster.commit(stacks.remove(self.cluster.state, IMPORTANT.name))

    # Nodes

    @rule(slot=st.integers(1, 6), times=st.integers(0, 3))
    def a_completion_will_fail(self, slot: int, times: int) -> None:
        self.cluster.failures[slot] = times

    @rule(name=st.sampled_from(NODES), liveness=st.sampled_from([Liveness.ALIVE, Liveness.SUSPECT, Liveness.DEAD]))
    def change_liveness(self, name: str, liveness: Liveness) -> None:
        self.cluster.set_liveness(name, liveness)

    @rule(share=st.floats(0, 1), random=st.randoms(use_true_random=False))
    def some_tasks_move_on(self, share: float, random: Random) -> None:
        self.cluster.nodes_act(only=[task for task in sorted(self.cluster.state.tasks) if random.random() < share])

    @rule(seconds=st.sampled_from([1.0, 3.0, 21.0]))
    def time_passes(self, seconds: float) -> None:
        self.cluster.now += seconds

    # Leaders

    @rule()
    def the_leader_looks(self) -> None:
        """A run is begun, started and forgotten in looks of their own: a few, and nothing is left to do."""
        for _ in range(LOOKS_MAX):
            if not self.cluster.reconcile().transactions:
                return
        assert self.cluster.look().transactions == []

    # What must hold

    @invariant()
    def never_more_at_once_than_allowed(self) -> None:
        lost = {task.id for task in self.cluster.outcomes(TaskOutcome.LOST)}
        at_once = Counter(task.run for task in self.cluster.alive_tasks() if task.id not in lost)
        for stored in self.cluster.state.job_runs.values():
            run = stored.value
            assert at_once[run.id] <= run.policy.at_once(run.completions), run
        runs = {task.run for task in self.cluster.alive_tasks() if task.id not in lost}
        assert len(runs) <= 1 or self.policy["concurrency"] is Concurrency.ALLOW, runs

    @invariant()
    def no_completion_is_reached_twice(self) -> None:
        reached = Counter((task.run, task.slot) for task in self.cluster.outcomes(TaskOutcome.SUCCEEDED))
        assert all(count == 1 for count in reached.values()), reached
        for run in self.cluster.runs():
            assert run.succeeded <= run.completions
            assert run.state is not RunState.SUCCEEDED or run.succeeded == run.completions

    @invariant()
    def what_is_over_stays_so(self) -> None:
        for run in self.cluster.runs():
            assert self.over.get(run.id) in (None, run.state)
            if not run.state.is_active:
                self.over[run.id] = run.state

    @invariant()
    def a_moment_is_run_once(self) -> None:
        moments = [run.moment for run in self.cluster.runs() if run.moment]
        assert len(moments) == len(set(moments))

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        for name in NODES:
            cluster.set_liveness(name, Liveness.ALIVE)
        self.remove_important()
        cluster.deploy(a_job("1", memory_mib=500, **{**self.policy, "schedule": ""}))
        for _ in range(150):
            cluster.tick()
            if not any(run.state.is_active for run in cluster.runs()) and not cluster.alive_tasks():
                break
        assert [run for run in cluster.runs() if run.state.is_active] == []
        assert cluster.alive_tasks() == []
        cluster.settle()
        kept = Counter(run.state is RunState.SUCCEEDED for run in cluster.runs())
        assert kept[True] <= 3 and kept[False] <= 3


JobLife.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestJobLife = JobLife.TestCase


def life_of(cluster: JobCluster, change_leader: bool) -> tuple[object, ...]:
    """The run's end, with every transaction followed by a new leader's look where wanted."""
    for _ in range(300):
        transactions = cluster.look().transactions
        while transactions:
            assert cluster.commit(transactions[0])
            transactions = cluster.look().transactions if change_leader else transactions[1:]
        if cluster.runs() and not cluster.run().state.is_active:
            break
        cluster.nodes_act()
        cluster.now += 1
    run = cluster.run()
    slots = sorted((task.slot, task.outcome) for task in cluster.tasks(WORK))
    return run.id, run.state, run.succeeded, run.failed, slots


@settings(max_examples=60, deadline=None)
@given(
    completions=st.integers(1, 6),
    parallelism=st.integers(1, 6),
    retries=st.integers(0, 2),
    failures=st.dictionaries(st.integers(1, 6), st.integers(0, 3)),
    lost=st.sampled_from(["", "n2"]),
)
def test_a_leader_change_after_every_transaction_gives_the_same_end(
    completions: int, parallelism: int, retries: int, failures: dict[int, int], lost: str
) -> None:
    ends = []
    for change_leader in (False, True):
        cluster = JobCluster(failures=dict(failures))
        for name in NODES:
            cluster.add_node(name)
        cluster.deploy(a_job(completions=completions, parallelism=parallelism, retries=retries, backoff_s=2))
        if lost:
            cluster.tick()
            cluster.tick()
            cluster.set_liveness(lost, Liveness.DEAD)
        ends.append(life_of(cluster, change_leader))

    assert ends[0] == ends[1]
