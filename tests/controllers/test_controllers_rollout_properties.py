"""Rollouts in a hostile life: whatever comes between, no healthy task is lost to one, none runs too many, each ends.

Deploys under every kind of policy, scales, rollbacks and other words from people, nodes lost, drained and come back,
versions that fail. Checked at every look of a leader: what it takes away and what it adds. At the end: with what is
broken still broken every rollout comes to its end, and with all mended the service is whole and of one revision.

And a leader that is replaced after every single transaction comes to the same end as one that stays.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

import hypothesis.strategies as st
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import initialize, rule
from leader_builders import InterruptedLeaders

from swarmlet.controllers import nodes, revisions, rollout_commands, stacks
from swarmlet.controllers.stack_errors import StackRefused
from swarmlet.model.ids import NodeId, StackName
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Liveness, Phase
from swarmlet.model.revisions import RevisionOutcome, Rollout, RolloutState
from swarmlet.model.rollout import Canary, FailureAction, Order, RolloutPolicy, UpdatePolicy, surge
from swarmlet.model.spec import MaxUnavailable, ServiceSpec
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction

NODES = ("n1", "n2", "n3", "n4")
VERSIONS = ("1", "2", "3")
DEADLINE_S = 100.0
END_ROUNDS_MAX = 60

updates = st.builds(
    UpdatePolicy,
    order=st.sampled_from(Order),
    parallelism=st.sampled_from([None, 0, 1, 2]),
    delay_s=st.sampled_from([0.0, 5.0]),
    monitor_s=st.sampled_from([0.0, 5.0]),
    failure_ratio_max=st.sampled_from([0.0, 0.4]),
    failure_action=st.sampled_from([FailureAction.ROLLBACK, FailureAction.ROLLBACK, FailureAction.PAUSE]),
)
canaries = st.none() | st.builds(
    Canary, steps=st.sampled_from([(10,), (30, 60)]), hold_s=st.sampled_from([None, 0.0, 20.0])
)
policies = st.builds(RolloutPolicy, update=updates, canary=canaries, deadline_s=st.just(DEADLINE_S)) | st.builds(
    RolloutPolicy, update=updates, blue_green=st.just(True), deadline_s=st.just(DEADLINE_S)
)
budgets = st.builds(MaxUnavailable, count=st.integers(1, 3))


def a_spec(version: str, replicas: int, policy: RolloutPolicy, budget: MaxUnavailable) -> ServiceSpec:
    spec = a_service(replicas=replicas, template=a_template(version, memory_mib=100), rollout=policy)
    return spec.model_copy(update={"max_unavailable": budget})


def asked(cluster: FakeCluster, make: Callable[[ClusterState], Transaction]) -> None:
    """A word from somebody, which may make no sense at the moment."""
    try:
        transaction = make(cluster.state)
    except StackRefused:
        return
    if transaction.operations:
        assert cluster.commit(transaction)


def serving_seats(cluster: FakeCluster) -> int:
    return len({task.slot for task in cluster.ready()})


def spec_of(cluster: FakeCluster) -> ServiceSpec:
    return cluster.state.services[APP].value.spec


def rollout_of(cluster: FakeCluster) -> Rollout:
    return cluster.state.rollouts[APP].value


def new_slots(tasks: Iterable[Task], cluster: FakeCluster) -> set[int]:
    revision = cluster.state.services[APP].value.revision
    return {task.slot for task in tasks if task.revision == revision}


class RolloutLife(InterruptedLeaders):
    @initialize(replicas=st.integers(1, 7), policy=policies, budget=budgets)
    def start(self, replicas: int, policy: RolloutPolicy, budget: MaxUnavailable) -> None:
        self.cluster = FakeCluster.of(*NODES)
        self.cluster.restarts_of_bad = 5
        self.cluster.deploy(a_stack(a_spec("1", replicas, policy, budget)))
        self.until_quiet()

    # People

    @rule(version=st.sampled_from(VERSIONS), replicas=st.integers(1, 7), policy=policies, budget=budgets)
    def deploy(self, version: str, replicas: int, policy: RolloutPolicy, budget: MaxUnavailable) -> None:
        self.cluster.deploy(a_stack(a_spec(version, replicas, policy, budget)))

    @rule(replicas=st.integers(0, 8))
    def scale(self, replicas: int) -> None:
        asked(self.cluster, lambda state: stacks.scale(state, APP, replicas))

    @rule(to=st.none() | st.integers(1, 5))
    def roll_back(self, to: int | None) -> None:
        asked(self.cluster, lambda state: rollout_commands.rollback(state, APP, to, self.cluster.now))

    @rule()
    def pause(self) -> None:
        asked(self.cluster, lambda state: rollout_commands.pause(state, APP, "by hand"))

    @rule()
    def resume(self) -> None:
        asked(self.cluster, lambda state: rollout_commands.resume(state, APP, self.cluster.now))

    @rule()
    def abort(self) -> None:
        asked(self.cluster, lambda state: rollout_commands.abort(state, APP, self.cluster.now))

    @rule(name=st.sampled_from(NODES))
    def drain(self, name: str) -> None:
        if NodeId(name) in self.cluster.state.nodes:
            self.cluster.commit(nodes.drain(self.cluster.state, name, self.cluster.now, None))

    @rule(name=st.sampled_from(NODES))
    def uncordon(self, name: str) -> None:
        if NodeId(name) in self.cluster.state.nodes:
            change = nodes.change(self.cluster.state, name, cordoned=False)
            assert not change.operations or self.cluster.commit(change)

    # What breaks, and what mends

    @rule(image=st.sampled_from([f"web:{version}" for version in VERSIONS]))
    def break_or_mend_an_image(self, image: str) -> None:
        self.cluster.bad_images ^= {image}

    @rule(name=st.sampled_from(NODES), liveness=st.sampled_from(Liveness))
    def change_liveness(self, name: str, liveness: Liveness) -> None:
        self.cluster.set_liveness(name, liveness)

    @rule()
    def statuses_have_not_arrived(self) -> None:
        self.cluster.forget_statuses()

    @rule(seconds=st.sampled_from([1.0, 6.0, 31.0, 120.0]))
    def time_passes(self, seconds: float) -> None:
        self.cluster.now += seconds

    @rule(share=st.floats(0, 1), random=st.randoms(use_true_random=False))
    def some_tasks_move_on(self, share: float, random: Random) -> None:
        self.cluster.nodes_act(only=[task for task in sorted(self.cluster.state.tasks) if random.random() < share])

    # Leaders

    @rule()
    def the_leader_looks(self) -> None:
        self.look()

    def look(self) -> bool:
        """One look, and all that must hold of what it did."""
        cluster = self.cluster
        before, with_new, had_new = serving_seats(cluster), new_slots(cluster.running(), cluster), self.had_new()
        stopping, running = self.stopping(), {task.id for task in cluster.running()}
        outcome = cluster.reconcile()
        spec, rollout = spec_of(cluster), rollout_of(cluster)
        wanted = spec.replicas
        if rollout.revision == cluster.state.services[APP].value.revision and not rollout.rollback:
            self.keeps_its_share(rollout, new_slots(cluster.running(), cluster), with_new, had_new)

        floor = wanted - spec.max_unavailable.of(wanted)
        assert serving_seats(cluster) >= min(before, floor), "by its own doing"
        orders = {spec.rollout.update.order, spec.rollout.paced(rollout.rollback).order}
        if orders == {Order.START_FIRST}:
            assert serving_seats(cluster) >= min(before, wanted), "start-first costs nothing"
        made = {task.slot for task in cluster.running() if task.id not in running}
        if orders == {Order.STOP_FIRST} and made:
            assert not made & stopping, "stop-first starts nothing beside another task"
            assert len({task.slot for task in cluster.running()} | stopping) <= wanted, "nor of more seats than wanted"
        limit = wanted + surge(spec.rollout, wanted, is_rollback=rollout.rollback)
        going_back = any(transaction.reason.endswith("is taken back") for transaction in outcome.transactions)
        assert going_back or len(cluster.running()) <= limit
        assert len({task.slot for task in cluster.running()}) <= wanted or going_back
        return bool(outcome.transactions)

    def stopping(self) -> set[int]:
        """The slots of tasks that were told to stop, and of which their nodes say that they are still there."""
        told = [task for task in self.cluster.tasks() if task.desired is Desired.STOP]
        alive = [task for task in told if self.cluster.nodes[task.node].liveness is Liveness.ALIVE]
        statuses = [(task.slot, self.cluster.status(task)) for task in alive]
        return {slot for slot, status in statuses if status is not None and status.phase is not Phase.STOPPED}

    def had_new(self) -> set[int]:
        """The slots in which the youngest task on record is one of the present revision."""
        youngest = {task.slot: task for task in sorted(self.cluster.tasks(), key=lambda each: each.generation)}
        return new_slots(youngest.values(), self.cluster)

    def keeps_its_share(self, rollout: Rollout, now: set[int], before: set[int], had: set[int]) -> None:
        """Nothing, not even a lost node, gives a new revision more than the rollout may have at the time."""
        cluster = self.cluster
        if revisions.before(cluster.state, cluster.state.services[APP].value) is None:
            return
        if rollout.state is RolloutState.PAUSED:
            assert now <= before | had, "nothing new is begun while it is paused"
        canary = spec_of(cluster).rollout.canary
        if rollout.state is RolloutState.RUNNING and canary is not None and rollout.step < len(canary.steps):
            step_max = math.ceil(spec_of(cluster).replicas * canary.steps[rollout.step] / 100)
            assert len(now) <= max(len(before), step_max), "no more than the canary's step"

    def until_quiet(self) -> None:
        for _ in range(END_ROUNDS_MAX):
            moved = self.look()
            if not (self.cluster.nodes_act() or moved):
                return
            self.cluster.now += 1

    def come_to_an_end(self) -> None:
        """Time passes until nothing moves but what waits for people, or for a version to be mended."""
        for _ in range(END_ROUNDS_MAX):
            self.until_quiet()
            rollout = rollout_of(self.cluster)
            if rollout.state is RolloutState.DONE:
                return
            if rollout.state is RolloutState.PAUSED or rollout.step_reached_at:
                asked(self.cluster, lambda state: rollout_commands.resume(state, APP, self.cluster.now))
            self.cluster.now += DEADLINE_S
        state = rollout_of(self.cluster).state
        healthy = [
            each.value.number
            for each in self.cluster.state.history[APP].values()
            if each.value.outcome is RevisionOutcome.HEALTHY
            and each.value.revision != self.cluster.state.services[APP].value.revision
        ]
        broken = self.cluster.state.services[APP].value.spec.template.image in self.cluster.bad_images
        waits = rollout_of(self.cluster).rollback or not healthy or self.policy_pauses()
        assert broken and waits, f"the rollout does not end: {state}"

    def policy_pauses(self) -> bool:
        update = spec_of(self.cluster).rollout.update
        return update.failure_action is FailureAction.PAUSE

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        cluster = self.cluster
        for name in NODES:
            cluster.set_liveness(name, Liveness.ALIVE)
            self.until_quiet()
            if NodeId(name) in cluster.state.nodes:
                self.uncordon(name)
        self.come_to_an_end()
        cluster.bad_images.clear()
        self.come_to_an_end()

        assert rollout_of(cluster).state is RolloutState.DONE
        assert len(cluster.ready()) == len(cluster.running()) == spec_of(cluster).replicas
        assert {task.revision for task in cluster.running()} <= {cluster.state.services[APP].value.revision}
        assert cluster.look().problems == {}


RolloutLife.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRolloutLife = RolloutLife.TestCase


# Lives that were found


def a_policy(order: Order = Order.START_FIRST, monitor_s: float = 0.0, *, blue_green: bool = False) -> RolloutPolicy:
    update = UpdatePolicy(order=order, monitor_s=monitor_s, failure_action=FailureAction.ROLLBACK)
    return RolloutPolicy(update=update, blue_green=blue_green, deadline_s=DEADLINE_S)


def test_going_back_before_a_new_task_serves_keeps_the_old_one() -> None:
    """The old task's revision is wanted again, and the new one of its seat, which does not serve yet, has to go."""
    life, one = RolloutLife(), MaxUnavailable(count=1)
    life.start(2, a_policy(blue_green=True), one)
    life.deploy("2", 1, a_policy(Order.STOP_FIRST, blue_green=True), one)
    life.look()
    serving = {task.id for task in life.cluster.ready()}

    life.deploy("1", 3, a_policy(Order.STOP_FIRST, monitor_s=5.0), one)
    life.look()

    assert serving == {task.id for task in life.cluster.ready()} != set()
    life.teardown()


def test_a_rollout_whose_policy_is_no_longer_blue_green_ends_as_any_other() -> None:
    life, one = RolloutLife(), MaxUnavailable(count=1)
    life.start(2, a_policy(), one)
    life.deploy("2", 2, a_policy(blue_green=True), one)
    life.look()

    life.deploy("2", 2, a_policy(), one)
    life.come_to_an_end()

    assert rollout_of(life.cluster).state is RolloutState.DONE
    assert {task.template.image for task in life.cluster.ready()} == {"web:2"}
    life.teardown()


# A leader change after every transaction


@dataclass(frozen=True)
class Happening:
    name: str
    does: Callable[[FakeCluster], None] = field(repr=False)


@dataclass(frozen=True)
class Step:
    what: Happening
    seconds: float
    """Later than the cluster came to rest."""


def deploys(version: str, replicas: int, policy: RolloutPolicy, budget: MaxUnavailable) -> Happening:
    stack = a_stack(a_spec(version, replicas, policy, budget))
    return Happening(f"deploy {stack!r}", lambda cluster: cluster.deploy(stack))


def breaks(version: str) -> Happening:
    return Happening(
        f"break {version}", lambda cluster: cluster.bad_images.symmetric_difference_update({f"web:{version}"})
    )


def turns(name: str, liveness: Liveness) -> Happening:
    return Happening(f"{name} is {liveness}", lambda cluster: cluster.set_liveness(name, liveness))


def asks(name: str, make: Callable[[ClusterState, float], Transaction]) -> Happening:
    return Happening(name, lambda cluster: asked(cluster, lambda state: make(state, cluster.now)))


happenings = st.one_of(
    st.builds(deploys, st.sampled_from(VERSIONS), st.integers(1, 6), policies, budgets),
    st.builds(breaks, st.sampled_from(VERSIONS)),
    st.builds(turns, st.sampled_from(NODES), st.sampled_from([Liveness.ALIVE, Liveness.DEAD])),
    st.just(asks("drain n1", lambda state, now: nodes.drain(state, "n1", now, None))),
    st.just(asks("roll back", lambda state, now: rollout_commands.rollback(state, APP, None, now))),
    st.just(asks("abort", lambda state, now: rollout_commands.abort(state, APP, now))),
    st.just(asks("pause", lambda state, _: rollout_commands.pause(state, APP, "by hand"))),
    st.just(asks("resume", lambda state, now: rollout_commands.resume(state, APP, now))),
    st.just(asks("scale", lambda state, _: stacks.scale(state, APP, 4))),
    st.just(asks("remove", lambda state, _: stacks.remove(state, StackName("web")))),
)
lives = st.lists(st.builds(Step, happenings, seconds=st.sampled_from([0.0, 10.0, 150.0])), max_size=6)


def live(steps: list[Step], *, is_replaced: bool) -> FakeCluster:
    """`is_replaced`: no leader commits more than one transaction of what it decided."""
    cluster = FakeCluster.of(*NODES)
    cluster.restarts_of_bad = 5

    def rest() -> None:
        """Far enough that what waits for a time has waited."""
        for _ in range(60):
            moved = False
            for _ in range(500):
                found = cluster.look().transactions
                if not found:
                    break
                moved = True
                for transaction in found[:1] if is_replaced else found:
                    assert cluster.commit(transaction)
            else:
                raise AssertionError("the leader never comes to rest")
            cluster.now += 1 if cluster.nodes_act() or moved else 20

    rest()
    cluster.deploy(a_stack(a_spec("1", 3, RolloutPolicy(deadline_s=DEADLINE_S), MaxUnavailable())))
    rest()
    for step in steps:
        cluster.now += step.seconds
        step.what.does(cluster)
        rest()
    return cluster


def end_of(cluster: FakeCluster) -> object:
    """What counts of a state: not the ids of tasks, which are derived from store revisions."""
    state = cluster.state
    return (
        sorted((task.slot, task.revision, cluster.is_ready(task)) for task in cluster.running()),
        {id_: each.value for id_, each in state.services.items()},
        {id_: each.value.model_copy(update={"reason": "", "begun_at": 0.0}) for id_, each in state.rollouts.items()},
        {number: each.value.outcome for number, each in state.history.get(APP, {}).items()},
        {id_: each.value for id_, each in state.nodes.items()},
    )


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=lives)
def test_leaders_replaced_after_every_transaction_come_to_the_same_end(steps: list[Step]) -> None:
    assert end_of(live(steps, is_replaced=True)) == end_of(live(steps, is_replaced=False))


def test_the_life_of_a_rollout_that_fails_is_among_those_compared() -> None:
    steps = [Step(breaks("2"), 0.0), Step(deploys("2", 4, RolloutPolicy(), MaxUnavailable()), 10.0)]

    cluster = live(steps, is_replaced=True)

    assert [each.value.outcome for _, each in sorted(cluster.state.history[APP].items())] == [
        RevisionOutcome.HEALTHY, RevisionOutcome.FAILED, RevisionOutcome.HEALTHY
    ]  # fmt: skip
    assert not any(cluster.status(task).phase is Phase.BACKOFF for task in cluster.running())  # type: ignore[union-attr]
