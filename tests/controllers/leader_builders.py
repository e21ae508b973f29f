"""Leaders that are interrupted, and leaders that propose what was right a while ago: rules for hostile lives."""

import hypothesis.strategies as st
from controllers_builders import FakeCluster
from hypothesis.stateful import RuleBasedStateMachine, rule

from swarmlet.model.transaction import Transaction


class InterruptedLeaders(RuleBasedStateMachine):
    cluster: FakeCluster

    @rule(kept=st.integers(0, 3))
    def the_leader_is_interrupted(self, kept: int) -> None:
        for transaction in self.cluster.look().transactions[:kept]:
            assert self.cluster.commit(transaction)


class SlowLeaders(InterruptedLeaders):
    def __init__(self) -> None:
        super().__init__()
        self.stale: list[Transaction] = []

    @rule()
    def a_leader_decides_but_is_slow(self) -> None:
        self.stale = self.cluster.look().transactions

    @rule()
    def the_slow_leader_proposes(self) -> None:
        for transaction in self.stale:
            self.cluster.commit(transaction)
        self.stale = []
