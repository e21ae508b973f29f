"""A hostile life of an autoscaled service: loads, deploys, lost nodes, missing figures, leaders with a stale view.

Checked at every step: the number is within the bounds; what is remembered stays small; nothing that is agreed was
overwritten by a stale leader. At the end: under a steady load it comes to rest where the load says.
"""

import hypothesis.strategies as st
from controllers_builders import APP
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from scaling_builders import LOOK_S, ScaledCluster, a_scaled_stack, by_cpu

from swarmlet.controllers.autoscaling import CHANGES_KEPT_MAX
from swarmlet.controllers.scaling_limits import LEVELS_MAX, MOVES_MAX
from swarmlet.model.autoscale import ScalePolicy, ScalingRules
from swarmlet.model.observed import Liveness
from swarmlet.model.transaction import Transaction

NODES = ("n1", "n2", "n3")
DOWN = ScalingRules(stabilization_s=30, policies=(ScalePolicy(percent=100),))
TARGET_MILLI = 50


class AutoscaledLife(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.least, self.most = 1, 6
        self.cluster = ScaledCluster.with_service(by_cpu(self.most, self.least, scale_down=DOWN))
        self.stale: list[Transaction] = []

    @rule(seconds=st.integers(1, 60), load=st.integers(0, 1_000))
    def live(self, seconds: int, load: int) -> None:
        self.cluster.live(seconds, load)

    @rule(least=st.integers(1, 4), more=st.integers(0, 6), version=st.sampled_from("123"))
    def deploy(self, least: int, more: int, version: str) -> None:
        self.least, self.most = least, least + more
        scaling = by_cpu(self.most, self.least, scale_down=DOWN)
        self.cluster.deploy(a_scaled_stack(scaling, version=version, replicas=least))

    @rule(name=st.sampled_from(NODES), liveness=st.sampled_from(Liveness))
    def a_node_changes(self, name: str, liveness: Liveness) -> None:
        self.cluster.set_liveness(name, liveness)

    @rule(random=st.randoms(use_true_random=False))
    def figures_go_missing(self, random: object) -> None:
        tasks = sorted(task.id for task in self.cluster.running())
        self.cluster.silent = {task for task in tasks if random.random() < 0.3}  # type: ignore[attr-defined]

    @rule()
    def a_leader_looks_and_is_gone_before_it_commits(self) -> None:
        self.cluster.measure(lambda ready: 200 / max(ready, 1))
        self.stale += self.cluster.look().transactions

    @precondition(lambda self: self.stale)
    @rule()
    def what_it_proposed_arrives_late(self) -> None:
        transaction = self.stale.pop(0)
        before = {each.key: each.modified_revision for each in self.cluster.store.scan("")}
        accepted = self.cluster.commit(transaction)
        fits = all(before.get(compare.key, 0) == compare.revision for compare in transaction.compares)
        assert accepted == fits

    @rule(seconds=st.integers(60, 2_000))
    def nobody_leads(self, seconds: int) -> None:
        self.cluster.now += seconds

    @invariant()
    def the_number_is_within_the_bounds(self) -> None:
        assert self.least <= self.cluster.replicas <= self.most

    @invariant()
    def what_is_remembered_stays_small(self) -> None:
        if APP in self.cluster.state.autoscaling:
            record = self.cluster.record
            assert 1 <= len(record.levels) <= LEVELS_MAX
            assert len(record.moves) <= MOVES_MAX
            assert len(record.changes) <= CHANGES_KEPT_MAX
            assert [level.since for level in record.levels] == sorted(level.since for level in record.levels)

    def teardown(self) -> None:
        for name in NODES:
            self.cluster.set_liveness(name, Liveness.ALIVE)
        self.cluster.silent = set()
        wanted = 3
        load = wanted * TARGET_MILLI - 10  # what each uses is told in whole numbers
        self.cluster.live(60 + DOWN.stabilization_s * 4 + 20 * LOOK_S, load)
        assert self.cluster.replicas == max(self.least, min(wanted, self.most))
        assert len(self.cluster.ready()) == self.cluster.replicas


AutoscaledLife.TestCase.settings = settings(max_examples=15, stateful_step_count=10, deadline=None)
TestAutoscaledLife = AutoscaledLife.TestCase
