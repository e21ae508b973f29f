"""A hostile life of a job: failures, nodes that are lost, drained or tainted, interrupted and slow leaders, redeploys,
removals, cancelled and asked-for runs, and a more important service that comes and goes.

Checked at every step: never more tasks at once than the parallelism, never a completion reached twice, no more of them
than asked for, a run that is over stays so, and nothing is started where it would have to leave. At the end, whatever
happened, every run is over, and what waited for the job has started if it succeeded.
"""

from collections import Counter
from random import Random
from typing import Any

import hypothesis.strategies as st
from controllers_builders import a_service, a_stack, a_template
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import initialize, invariant, rule
from job_builders import WORK, JobCluster, a_job
from leader_builders import SlowLeaders

from swarmlet.controllers import job_commands, nodes, stacks
from swarmlet.controllers.job_errors import JobRefused
from swarmlet.model.ids import StackName, TaskId
from swarmlet.model.job import Concurrency, RunState, TaskOutcome
from swarmlet.model.observed import Liveness
from swarmlet.model.placement import Taint, TaintEffect
from swarmlet.model.spec import DependencyCondition, Mode, StackSpec

NODES = ("n1", "n2", "n3")
WEB = StackName("web")
BROKEN = "broken"
LOOKS_MAX = 6
IMPORTANT = a_stack(
    a_service(replicas=3, template=a_template(memory_mib=3500)).model_copy(update={"priority": 5}), name="vip"
)


class JobLife(SlowLeaders):
    @initialize(
        mode=st.sampled_from(Mode),
        history=st.sampled_from([0, 3]),
        redeployed_at_last=st.booleans(),
        endless=st.booleans(),
        seconds=st.sampled_from([0, 2, 4]),
        completions=st.integers(1, 6),
        parallelism=st.integers(1, 4),
        retries=st.integers(0, 2),
        deadline_s=st.sampled_from([0.0, 40.0]),
        concurrency=st.sampled_from(Concurrency),
        schedule=st.sampled_from(["", "*/20 * * * * *"]),
    )
    def start(
        self, mode: Mode, history: int, redeployed_at_last: bool, endless: bool, seconds: int, **policy: object
    ) -> None:
        self.mode, self.history, self.redeployed_at_last = mode, history, redeployed_at_last
        self.policy = {**policy, "backoff_s": 2, "history_succeeded": history, "history_failed": history}
        self.cluster = JobCluster(endless=endless)
        for name in NODES:
            self.cluster.add_node(name)
        self.over: dict[str, RunState] = {}
        self.present: set[TaskId] = set()
        self.past: set[TaskId] = set()
        self.tokens = 0
        self.deploy("1")
        self.all_goes_its_way(seconds)

    # Users

    @rule(version=st.sampled_from("12"))
    def deploy(self, version: str) -> None:
        self.cluster.deploy(self.a_stack(version))

    def a_stack(self, version: str, **policy: object) -> StackSpec:
        """The job, and a service that waits for it."""
        job = a_job(version, self.mode, memory_mib=500, **{**self.policy, **policy}).services["work"]
        return a_stack(job, a_service(depends_on={"work": DependencyCondition.HEALTHY}))

    @rule(as_service=st.booleans(), looks=st.lists(st.integers(0, 4), max_size=3), version=st.sampled_from("12"))
    def the_job_is_away_for_a_while(self, as_service: bool, looks: list[int], version: str) -> None:
        """Removed, or a service; of each look meanwhile so many transactions are committed."""
        if as_service:
            self.cluster.deploy(a_stack(a_service("work")))
        else:
            assert self.cluster.commit(stacks.remove(self.cluster.state, WEB))
        for kept in looks:
            self.the_leader_is_interrupted(kept)
            self.cluster.nodes_act()
        self.deploy(version)

    @rule()
    def somebody_asks_for_a_run(self) -> None:
        self.tokens += 1
        state = self.cluster.state
        try:
            wanted = job_commands.run_now(state, WORK, str(self.tokens), sorted(state.nodes), self.cluster.now)
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

    @rule(endless=st.booleans())
    def tasks_take_long(self, endless: bool) -> None:
        self.cluster.endless = endless

    @rule(name=st.sampled_from(NODES), liveness=st.sampled_from([Liveness.ALIVE, Liveness.SUSPECT, Liveness.DEAD]))
    def change_liveness(self, name: str, liveness: Liveness) -> None:
        self.cluster.set_liveness(name, liveness)

    @rule(name=st.sampled_from(NODES), deadline_s=st.sampled_from([None, 0.0, 5.0]))
    def drain(self, name: str, deadline_s: float | None) -> None:
        if name in self.cluster.state.nodes:
            assert self.cluster.commit(nodes.drain(self.cluster.state, name, self.cluster.now, deadline_s))

    @rule(name=st.sampled_from(NODES), effect=st.sampled_from([TaintEffect.NO_SCHEDULE, TaintEffect.NO_EXECUTE]))
    def taint(self, name: str, effect: TaintEffect) -> None:
        self.change(name, taints=[Taint(key=BROKEN, effect=effect)])

    @rule(name=st.sampled_from(NODES))
    def open_again(self, name: str) -> None:
        self.change(name, cordoned=False, untaint=[nodes.UnwantedTaint(BROKEN)])

    def change(self, name: str, **change: Any) -> None:
        if name in self.cluster.state.nodes:
            assert self.cluster.commit(nodes.change(self.cluster.state, name, **change))

    @rule(share=st.floats(0, 1), random=st.randoms(use_true_random=False))
    def some_tasks_move_on(self, share: float, random: Random) -> None:
        self.cluster.nodes_act(only=[task for task in sorted(self.cluster.state.tasks) if random.random() < share])

    @rule(seconds=st.sampled_from([1.0, 3.0, 21.0]))
    def time_passes(self, seconds: float) -> None:
        self.cluster.now += seconds

    # Leaders

    @rule(seconds=st.integers(1, 5))
    def all_goes_its_way(self, seconds: int) -> None:
        for _ in range(seconds):
            self.cluster.tick()

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
        runs = {task.run for task in self.cluster.alive_tasks() if task.run and task.id not in lost}
        assert len(runs) <= 1 or self.policy["concurrency"] is Concurrency.ALLOW, runs

    @invariant()
    def no_completion_is_reached_twice(self) -> None:
        reached = Counter((task.run, task.slot) for task in self.cluster.outcomes(TaskOutcome.SUCCEEDED))
        assert all(count == 1 for count in reached.values()), reached
        for run in self.cluster.runs():
            assert run.succeeded <= run.completions
            # A global job gives up the nodes that will not do it.
            reached_all = run.succeeded == run.completions or bool(run.nodes)
            assert run.state is not RunState.SUCCEEDED or reached_all

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

    @invariant()
    def nothing_is_started_where_it_has_to_leave(self) -> None:
        state = self.cluster.state
        there = {id_: each.value for id_, each in state.tasks.items() if each.value.run}
        started = [task for id_, task in there.items() if id_ not in self.present]
        for task in started:
            node = state.nodes[task.node].value
            assert node.drain is None and not node.taints, (task, node)
            assert task.id not in self.past, "an id comes again"
        self.present = set(there)
        self.past |= self.present

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        for name in NODES:
            cluster.set_liveness(name, Liveness.ALIVE)
        self.remove_important()
        cluster.endless = False
        self.open_again(NODES[0])
        if self.redeployed_at_last or self.policy["schedule"]:
            cluster.deploy(self.a_stack("1", schedule=""))
        for _ in range(150):
            cluster.tick()
            if not any(run.state.is_active for run in cluster.runs()) and not cluster.alive_tasks():
                break
        assert [run for run in cluster.runs() if run.state.is_active] == []
        assert cluster.alive_tasks() == []
        cluster.settle()
        assert cluster.runs()
        kept = Counter(run.state is RunState.SUCCEEDED for run in cluster.runs()[:-1])
        assert kept[True] <= self.history and kept[False] <= self.history
        if cluster.run().state is RunState.SUCCEEDED:
            assert len(cluster.ready()) == 1


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
