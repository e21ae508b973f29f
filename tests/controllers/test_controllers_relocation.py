"""Tasks leave their nodes: drains, taints, marks; beside their successors or before them, under the budget."""

from collections import Counter

import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from test_controllers_simulation import NODES, ClusterLife

from swarmlet.controllers import nodes, relocation, stacks
from swarmlet.controllers.seats import seat_key
from swarmlet.controllers.steps import pack
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Health, Liveness, Phase
from swarmlet.model.placement import Taint, TaintEffect
from swarmlet.model.rollout import Order, RolloutPolicy, UpdatePolicy
from swarmlet.model.spec import MaxUnavailable, Mode, Mount, MountKind, RestartCondition, RestartPolicy, ServiceSpec

N1, N2 = NodeId("n1"), NodeId("n2")
AGENT = ServiceId("web.agent")
DATA = Mount(kind=MountKind.VOLUME, target="/data", source="web_data")


def a_service_with_a_volume(replicas: int, budget: MaxUnavailable | None = None) -> ServiceSpec:
    template = a_template().model_copy(update={"mounts": (DATA,)})
    spec = a_service(replicas=replicas, template=template)
    return spec if budget is None else spec.model_copy(update={"max_unavailable": budget})


def a_cluster(*services: ServiceSpec, memory_mib: int = 4096) -> FakeCluster:
    cluster = FakeCluster.of("n1", "n2", "n3", memory_mib=memory_mib)
    cluster.deploy(a_stack(*services))
    cluster.settle()
    return cluster


def drain(cluster: FakeCluster, node: str = "n1", deadline_s: float | None = None) -> None:
    assert cluster.commit(nodes.drain(cluster.state, node, cluster.now, deadline_s))


def on(cluster: FakeCluster, node: NodeId, service: ServiceId = APP) -> list[Task]:
    return [task for task in cluster.running(service) if task.node == node]


def stopped(cluster: FakeCluster, service: ServiceId = APP) -> list[Task]:
    return [task for task in cluster.tasks(service) if task.desired is Desired.STOP]


def test_what_leaves_a_drained_node_serves_until_its_successor_does() -> None:
    cluster = a_cluster(a_service(replicas=3))
    (leaver,) = on(cluster, N1)
    drain(cluster)

    cluster.reconcile()
    (successor,) = [task for task in cluster.running() if task.slot == leaver.slot and task.id != leaver.id]
    assert successor.node != N1
    assert stopped(cluster) == []

    cluster.settle()
    assert [(task.id, task.stop_reason) for task in stopped(cluster)] == [(leaver.id, "n1 is drained")]
    assert on(cluster, N1) == []
    assert len(cluster.ready()) == 3


def test_no_more_leave_at_a_time_than_the_surge_allows() -> None:
    cluster = a_cluster(a_service(replicas=6))
    drain(cluster)
    drain(cluster, "n2")

    most = 0
    while cluster.reconcile().transactions or cluster.nodes_act():
        most = max(most, len(cluster.running()))
        assert len(cluster.ready()) >= 6

    assert most == 8
    assert {task.node for task in cluster.running()} == {"n3"}


def test_an_uncordoned_node_keeps_what_still_serves_there() -> None:
    cluster = a_cluster(a_service(replicas=3))
    before = {task.id for task in cluster.running()}
    drain(cluster)
    cluster.reconcile()

    assert cluster.commit(nodes.change(cluster.state, "n1", cordoned=False))
    cluster.settle()

    assert {task.id for task in cluster.running()} == before


def test_without_room_elsewhere_nothing_leaves_and_the_reason_is_said() -> None:
    cluster = a_cluster(a_service(replicas=3, template=a_template(memory_mib=600)), memory_mib=1000)
    drain(cluster)

    outcome = cluster.settle()

    assert len(cluster.ready()) == 3
    assert "the relocation waits: no room" in outcome.problems[APP].message
    assert outcome.problems[APP].per_node["n1"] == "is cordoned"


def test_past_the_deadline_what_is_left_stops() -> None:
    cluster = a_cluster(a_service(replicas=3, template=a_template(memory_mib=600)), memory_mib=1000)
    drain(cluster, deadline_s=60)
    assert cluster.settle().wake_at is not None
    assert len(cluster.ready()) == 3

    cluster.now += 60
    cluster.settle()

    assert on(cluster, N1) == []
    assert [task.stop_reason for task in stopped(cluster)] == ["n1 is drained, past its deadline"]


def test_one_that_serves_nobody_leaves_at_once() -> None:
    cluster = a_cluster(a_service(replicas=3, template=a_template(memory_mib=600)), memory_mib=1000)
    (leaver,) = on(cluster, N1)
    cluster.publish(leaver, Phase.RUNNING, Health.UNHEALTHY)
    drain(cluster)

    cluster.reconcile()

    assert [task.id for task in stopped(cluster)] == [leaver.id]


def test_one_of_which_nothing_is_known_is_waited_for() -> None:
    cluster = a_cluster(a_service_with_a_volume(3))
    cluster.forget_statuses()
    drain(cluster)

    cluster.reconcile()

    assert stopped(cluster) == []


def test_a_task_with_a_volume_is_gone_before_its_successor_starts() -> None:
    cluster = a_cluster(a_service_with_a_volume(3))
    (leaver,) = on(cluster, N1)
    drain(cluster)

    cluster.reconcile()
    assert [task.id for task in stopped(cluster)] == [leaver.id]
    assert len(cluster.running()) == 2

    cluster.settle()
    assert len(cluster.ready()) == 3
    assert on(cluster, N1) == []


@pytest.mark.parametrize(
    ("budget", "at_once"),
    [(None, 1), (MaxUnavailable(count=2), 2), (MaxUnavailable(percent=50), 3), (MaxUnavailable(percent=1), 1)],
)
def test_as_many_stop_first_as_the_budget_allows(budget: MaxUnavailable | None, at_once: int) -> None:
    cluster = a_cluster(a_service_with_a_volume(6, budget))
    drain(cluster)
    drain(cluster, "n2")

    fewest = 6
    while cluster.reconcile().transactions or cluster.nodes_act():
        fewest = min(fewest, len(cluster.ready()))

    assert fewest == 6 - at_once
    assert {task.node for task in cluster.running()} == {"n3"}


def test_a_budget_that_is_used_up_holds_up_the_drain_and_says_so() -> None:
    cluster = a_cluster(a_service_with_a_volume(3, MaxUnavailable(count=0)))
    drain(cluster)

    outcome = cluster.settle()

    assert len(cluster.ready()) == 3
    assert outcome.problems[APP].message == "1 task waits to leave: max_unavailable is 0, and 0 do not serve"


def test_tasks_that_fail_by_themselves_use_up_the_budget() -> None:
    cluster = a_cluster(a_service_with_a_volume(3))
    cluster.publish(on(cluster, N2)[0], Phase.BACKOFF)
    drain(cluster)

    cluster.reconcile()

    assert stopped(cluster) == []


def test_of_two_leaders_with_different_views_only_one_takes_from_the_budget() -> None:
    cluster = a_cluster(a_service_with_a_volume(3))
    drain(cluster)
    old = cluster.look().transactions
    assert cluster.commit(nodes.change(cluster.state, "n1", cordoned=False))
    drain(cluster, "n2")
    assert cluster.commit(cluster.look().transactions[0])

    assert not any(cluster.commit(each) for each in old)

    assert len(cluster.running()) == 2


def test_a_global_services_task_stops_last_and_has_no_successor() -> None:
    cluster = a_cluster(a_service(replicas=3), a_service("agent", mode=Mode.GLOBAL))
    drain(cluster)

    cluster.reconcile()
    assert len(on(cluster, N1, AGENT)) == 1

    outcome = cluster.settle()
    assert on(cluster, N1, AGENT) == []
    assert len(cluster.ready(AGENT)) == 2
    assert outcome.problems == {}

    assert cluster.commit(nodes.change(cluster.state, "n1", cordoned=False))
    cluster.settle()
    assert len(cluster.ready(AGENT)) == 3


def test_a_global_service_is_updated_on_a_cordoned_node_too() -> None:
    cluster = a_cluster(a_service("agent", mode=Mode.GLOBAL))
    assert cluster.commit(nodes.change(cluster.state, "n1", cordoned=True))

    cluster.deploy(a_stack(a_service("agent", mode=Mode.GLOBAL, template=a_template("2"))))
    cluster.settle()

    assert {task.template.image for task in cluster.ready(AGENT)} == {"web:2"}
    assert len(cluster.ready(AGENT)) == 3


def test_a_no_execute_taint_makes_tasks_leave_and_a_no_schedule_one_does_not() -> None:
    cluster = a_cluster(a_service(replicas=3), a_service("agent", mode=Mode.GLOBAL))
    assert cluster.commit(nodes.change(cluster.state, "n1", taints=[Taint(key="old")]))
    cluster.settle()
    assert len(on(cluster, N1)) == 1

    broken = Taint(key="broken", effect=TaintEffect.NO_EXECUTE)
    assert cluster.commit(nodes.change(cluster.state, "n2", taints=[broken]))
    cluster.settle()

    assert on(cluster, N2) == on(cluster, N2, AGENT) == []
    assert {task.stop_reason for task in stopped(cluster)} == {"n2 has the taint broken"}
    assert {task.node for task in cluster.ready()} == {"n1", "n3"}
    assert len(cluster.ready(AGENT)) == 2


def test_a_marked_task_moves_to_the_node_that_was_named() -> None:
    cluster = a_cluster(a_service(replicas=3))
    (leaver,) = on(cluster, N1)
    step = relocation.marked(cluster.state.tasks[leaver.id], "evens out the load", N2)
    assert cluster.commit(pack([step], "rebalance")[0])

    cluster.settle()

    assert [task.stop_reason for task in stopped(cluster)] == ["evens out the load"]
    assert len(on(cluster, N2)) == 2


def test_a_mark_is_taken_off_where_the_named_node_has_no_room() -> None:
    cluster = a_cluster(a_service(replicas=3, template=a_template(memory_mib=600)), memory_mib=1000)
    (leaver,) = on(cluster, N1)
    step = relocation.marked(cluster.state.tasks[leaver.id], "evens out the load", N2)
    assert cluster.commit(pack([step], "rebalance")[0])

    outcome = cluster.settle()

    assert cluster.state.tasks[leaver.id].value == leaver
    assert stopped(cluster) == []
    assert outcome.problems == {}


def test_a_mark_is_taken_off_in_the_look_of_a_scale_down_too() -> None:
    cluster = a_cluster(a_service(replicas=4))
    cluster.set_liveness("n2", Liveness.SUSPECT)
    (leaver, *_) = on(cluster, N1)
    assert cluster.commit(pack([relocation.marked(cluster.state.tasks[leaver.id], "test", N2)], "mark")[0])
    assert cluster.commit(stacks.scale(cluster.state, APP, 3))

    cluster.reconcile()

    assert cluster.refused == []


def test_a_drain_in_the_middle_of_a_rollout_ends_with_the_new_revision_elsewhere() -> None:
    cluster = a_cluster(a_service(replicas=6))
    cluster.deploy(a_stack(a_service(replicas=6, template=a_template("2"))))
    cluster.reconcile()
    drain(cluster)

    while cluster.reconcile().transactions or cluster.nodes_act():
        assert len(cluster.ready()) >= 6
        assert len(cluster.running()) <= 8

    assert {task.template.image for task in cluster.running()} == {"web:2"}
    assert on(cluster, N1) == []


class LifeWithDrains(ClusterLife):
    """The hostile life, in which people drain, cordon, taint and mark besides."""

    @rule(name=st.sampled_from(NODES), deadline_s=st.sampled_from([None, 5.0, 600.0]))
    def drain(self, name: str, deadline_s: float | None) -> None:
        if name in self.cluster.state.nodes:
            self.cluster.commit(nodes.drain(self.cluster.state, name, self.cluster.now, deadline_s))

    @rule(name=st.sampled_from(NODES), cordoned=st.booleans())
    def cordon_or_uncordon(self, name: str, cordoned: bool) -> None:
        if name in self.cluster.state.nodes:
            self.cluster.commit(nodes.change(self.cluster.state, name, cordoned=cordoned))

    @rule(name=st.sampled_from(NODES), effect=st.sampled_from(TaintEffect))
    def taint(self, name: str, effect: TaintEffect) -> None:
        if name in self.cluster.state.nodes:
            self.cluster.commit(nodes.change(self.cluster.state, name, taints=[Taint(key="t", effect=effect)]))

    @rule(random=st.randoms(use_true_random=False), to=st.sampled_from(["", *NODES]))
    def mark(self, random: object, to: str) -> None:
        if running := self.cluster.running():
            chosen = self.cluster.state.tasks[random.choice(running).id]  # type: ignore[attr-defined]
            self.cluster.commit(pack([relocation.marked(chosen, "test", NodeId(to))], "mark")[0])

    @rule()
    def the_leader_looks(self) -> None:
        """A mark whose target refuses the task is taken off by one look; what that allows is for the next one."""
        if any(task.relocate_to for task in self.all_running()):
            before = self.ready_seats()
            self.cluster.reconcile()
            self.check_rollout_costs_nothing(before)
        super().the_leader_looks()

    def overdue(self) -> bool:
        drains = [node.value.drain for node in self.cluster.state.nodes.values()]
        return any(each and each.deadline is not None and each.deadline <= self.cluster.now for each in drains)

    def check_rollout_costs_nothing(self, before: set) -> None:  # type: ignore[type-arg]
        if not self.overdue():
            super().check_rollout_costs_nothing(before)

    def check_not_too_many(self) -> None:
        """Of a global service nodes come and go by drains: its own tests look at that."""

    @invariant()
    def no_seat_is_filled_twice(self) -> None:
        """Twice at most, where one leaves or was to leave."""
        for service in self.cluster.state.services.values():
            mode, revision = service.value.spec.mode, service.value.revision
            current = [each for each in self.cluster.running(service.value.id) if each.revision == revision]
            counts = Counter(seat_key(task, mode) for task in current)
            assert all(count <= (1 if mode is Mode.GLOBAL else 2) for count in counts.values()), counts

    def teardown(self) -> None:
        if hasattr(self, "cluster"):
            for name in self.cluster.state.nodes:
                untaint = [nodes.UnwantedTaint("t")]
                self.cluster.commit(nodes.change(self.cluster.state, name, cordoned=False, untaint=untaint))
        super().teardown()


LifeWithDrains.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLifeWithDrains = LifeWithDrains.TestCase


@pytest.mark.parametrize("leave", ["drain", "taint"])
def test_what_has_ended_is_not_done_again_where_its_node_is_to_be_left(leave: str) -> None:
    once = a_template().model_copy(update={"restart": RestartPolicy(condition=RestartCondition.NEVER)})
    cluster = a_cluster(a_service(replicas=1, template=once))
    (task,) = cluster.running()
    cluster.publish(task, Phase.EXITED, exit_code=0)

    if leave == "drain":
        drain(cluster, task.node, deadline_s=10)
    else:
        taints = [Taint(key="maintenance", effect=TaintEffect.NO_EXECUTE)]
        assert cluster.commit(nodes.change(cluster.state, task.node, taints=taints))
    cluster.settle()
    cluster.now += 20
    cluster.settle()

    assert [each.id for each in cluster.tasks()] == [task.id]


def test_a_task_that_leaves_in_its_turn_of_a_rollout_says_why_it_had_to_go() -> None:
    policy = RolloutPolicy(update=UpdatePolicy(order=Order.STOP_FIRST, parallelism=3))
    everyone = MaxUnavailable(count=3)
    spec = a_service(replicas=3, rollout=policy).model_copy(update={"max_unavailable": everyone})
    cluster = a_cluster(spec)
    drain(cluster)
    cluster.deploy(a_stack(spec.model_copy(update={"template": a_template("2")})))

    cluster.reconcile()

    reasons = {task.node: task.stop_reason.split(" revision ")[0] for task in stopped(cluster)}
    assert reasons == {"n1": "n1 is drained", "n2": "makes room for", "n3": "makes room for"}


def test_what_leaves_within_the_budget_waits_for_the_look_after_its_node_has_changed() -> None:
    cluster = a_cluster(a_service_with_a_volume(replicas=3, budget=MaxUnavailable(count=2)))
    (task,) = on(cluster, N1)
    marked = pack([relocation.marked(cluster.state.tasks[task.id], "test")], "mark")
    assert cluster.commit(marked[0])
    cluster.set_liveness("n1", Liveness.LEFT)

    cluster.reconcile()
    assert stopped(cluster) == [] and cluster.refused == []

    cluster.reconcile()
    assert [each.id for each in stopped(cluster)] == [task.id]
