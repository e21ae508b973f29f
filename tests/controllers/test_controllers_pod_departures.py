"""Pods leave their nodes as a whole, within the disruption budgets of all members."""

import hypothesis.strategies as st
import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule
from test_controllers_relocation import LifeWithDrains

from swarmlet.controllers import nodes
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import Desired
from swarmlet.model.observed import Liveness
from swarmlet.model.spec import MaxUnavailable, ServiceSpec, StackSpec
from swarmlet.model.transaction import Compare, Transaction, put

SIDE = ServiceId("web.side")


def a_member(name: str, replicas: int, version: str, allowed: int, memory_mib: int = 0) -> ServiceSpec:
    template = a_template(version, memory_mib=memory_mib).model_copy(update={"pod": "front"})
    return a_service(name, replicas, template).model_copy(update={"max_unavailable": MaxUnavailable(count=allowed)})


def a_pod(replicas: int = 6, app: str = "1", side: str = "s1", app_allows: int = 1, side_allows: int = 3) -> StackSpec:
    return a_stack(a_member("app", replicas, app, app_allows), a_member("side", replicas, side, side_allows))


def drained(pod: StackSpec, *names: str) -> FakeCluster:
    """All of it is on n1, which is then drained."""
    cluster = FakeCluster.of("n1")
    cluster.deploy(pod)
    cluster.settle()
    for name in names or ("n2",):
        cluster.add_node(name)
    cluster.reconcile()
    assert cluster.commit(nodes.drain(cluster.state, "n1", cluster.now, None))
    return cluster


def test_a_pod_leaves_only_when_the_budget_of_each_member_allows_it() -> None:
    cluster = drained(a_pod())

    outcome = cluster.reconcile()
    assert len(cluster.running(APP)) == len(cluster.running(SIDE)) == 5
    assert outcome.problems[SIDE].message == (
        "5 tasks wait to leave with their pods: web.app's max_unavailable is 1, and 1 do not serve"
    )
    for _ in range(60):
        cluster.reconcile()
        assert len(cluster.ready(APP)) >= 5
        cluster.nodes_act()
        cluster.now += 1

    assert {task.node for task in (*cluster.ready(APP), *cluster.ready(SIDE))} == {NodeId("n2")}
    assert len(cluster.ready(APP)) == len(cluster.ready(SIDE)) == 6


def test_what_does_not_serve_needs_no_budget_but_does_not_take_the_rest_of_its_pod_along() -> None:
    pod = a_pod(replicas=4)
    cluster = FakeCluster.of("n1")
    cluster.bad_images = {"web:s1"}
    cluster.deploy(pod)
    for _ in range(5):
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1
    assert len(cluster.ready(APP)) == 4 and cluster.ready(SIDE) == []
    cluster.add_node("n2")
    cluster.reconcile()

    assert cluster.commit(nodes.drain(cluster.state, "n1", cluster.now, None))
    for _ in range(60):
        cluster.reconcile()
        assert len(cluster.ready(APP)) >= 3
        cluster.nodes_act()
        cluster.now += 1

    assert {task.node for task in cluster.ready(APP)} == {NodeId("n2")}


@pytest.mark.parametrize("slots", [(1, 2), (2, 1)])
def test_pods_that_lack_different_members_do_not_wait_for_each_other(slots: tuple[int, int]) -> None:
    """As after leaders that were cut off between the members' transactions, or rollouts of both."""
    cluster = drained(a_pod(replicas=2, side_allows=1))
    told = [
        each
        for service, slot in zip((APP, SIDE), slots, strict=True)
        for each in cluster.running(service)
        if each.slot == slot
    ]
    for task in told:
        stopped = cluster.state.tasks[task.id]
        fate = stopped.value.model_copy(update={"desired": Desired.STOP, "stopped_at": cluster.now})
        assert cluster.commit(Transaction((Compare(fate.key, stopped.revision),), (put(fate.key, fate),)))

    for _ in range(40):
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1

    assert {task.node for task in (*cluster.ready(APP), *cluster.ready(SIDE))} == {NodeId("n2")}
    assert len(cluster.ready(APP)) == len(cluster.ready(SIDE)) == 2


class LifeOfPods(LifeWithDrains):
    """The hostile life of drains, in which the service shares its pods with another one."""

    budgets: tuple[int, int] = (1, 1)

    @rule(app=st.integers(1, 4), side=st.integers(1, 4))
    def change_budgets(self, app: int, side: int) -> None:
        self.budgets = app, side
        services = self.cluster.state.services
        if APP in services:
            spec = services[APP].value.spec
            version = spec.template.image.removeprefix("web:")
            self.deploy(version, services[SIDE].value.spec.template.image[-1], spec.replicas)

    @rule(version=st.sampled_from("123"), agent=st.sampled_from("123"), replicas=st.integers(0, 7))
    def deploy(self, version: str, agent: str, replicas: int) -> None:
        app, side = self.budgets
        self.cluster.deploy(a_pod(replicas, version, f"s{agent}", app, side))

    def ready_seats(self) -> set:  # type: ignore[type-arg]
        """Of both members."""
        alive = {id_ for id_, node in self.cluster.nodes.items() if node.liveness is Liveness.ALIVE}
        return {
            (service, task.slot)
            for service in (APP, SIDE)
            for task in self.cluster.ready(service)
            if task.node in alive
        }

    def check_rollout_costs_nothing(self, before: set) -> None:  # type: ignore[type-arg]
        """No look makes more tasks of a member unavailable than its budget allows."""
        services = self.cluster.state.services
        if APP not in services or self.overdue():
            return
        after = self.ready_seats()
        for service, other in ((APP, SIDE), (SIDE, APP)):
            spec = services[service].value.spec
            served, serves = ({slot for id_, slot in seats if id_ == service} for seats in (before, after))
            wanted = {slot for slot in served if slot <= spec.replicas}
            broken = {each.slot for each in self.cluster.tasks(other)} - served
            allowed = spec.max_unavailable.of(spec.replicas)
            assert len(serves) >= min(len(wanted), spec.replicas - allowed - len(broken))


LifeOfPods.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLifeOfPods = LifeOfPods.TestCase
