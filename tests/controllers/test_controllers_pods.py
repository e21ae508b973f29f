"""Pods: services that share one network are placed, moved and scaled together."""

from collections import defaultdict
from dataclasses import replace

import pytest
from controllers_builders import FakeCluster, a_service, a_stack, a_template
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlet.controllers import stacks
from swarmlet.controllers.pods import PodRefused
from swarmlet.model.ids import NodeId, ServiceId, StackName
from swarmlet.model.objects import Drain, Task
from swarmlet.model.observed import Liveness, Phase
from swarmlet.model.rollout import Order, RolloutPolicy
from swarmlet.model.spec import DependencyCondition, Mode, ServiceSpec, StackSpec
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Compare, Transaction, put

WEB, SIDE = ServiceId("web.main"), ServiceId("web.side")


def a_member(name: str, version: str = "1", replicas: int = 2, memory_mib: int = 0, port: int = 0) -> ServiceSpec:
    template = a_template(version, memory_mib=memory_mib, ports=[port] if port else [])
    return a_service(name, replicas, template.model_copy(update={"pod": "front"}))


def a_pod(replicas: int = 2, main: str = "1", side: str = "1", memory_mib: int = 0) -> StackSpec:
    return a_stack(
        a_member("main", main, replicas, memory_mib), a_member("side", side, replicas, memory_mib), name="web"
    )


def nodes_of(cluster: FakeCluster, service: ServiceId) -> dict[int, NodeId]:
    return {task.slot: task.node for task in cluster.running(service)}


def refusal(*services: ServiceSpec) -> str:
    with pytest.raises(PodRefused) as refused:
        stacks.deploy(ClusterState(), a_stack(*services), 0.0)
    return str(refused.value)


def drain(cluster: FakeCluster, node: str, since: float | None = None) -> None:
    stored = cluster.state.nodes[NodeId(node)]
    drained = stored.value.model_copy(update={"drain": Drain(since=since or cluster.now), "cordoned": True})
    assert cluster.commit(Transaction((Compare(drained.key, stored.revision),), (put(drained.key, drained),)))


def test_members_of_a_pod_are_on_one_node_slot_by_slot() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_pod(replicas=3))
    cluster.settle()

    assert nodes_of(cluster, WEB) == nodes_of(cluster, SIDE)
    assert set(nodes_of(cluster, WEB).values()) == {NodeId("n1"), NodeId("n2"), NodeId("n3")}


def test_a_node_has_to_have_room_for_the_whole_pod() -> None:
    cluster = FakeCluster.of("n1", memory_mib=1500)
    cluster.add_node("n2", memory_mib=1000)
    cluster.deploy(a_pod(replicas=2, memory_mib=700))
    outcome = cluster.settle()

    assert set(nodes_of(cluster, WEB).values()) == set(nodes_of(cluster, SIDE).values()) == {NodeId("n1")}
    assert len(cluster.running(WEB)) == len(cluster.running(SIDE)) == 1, "all or nothing"
    problem = outcome.problems[WEB]
    assert "no node can take 1 of 2 tasks" in problem.message
    assert "needs 1.37 GiB of memory" in problem.per_node["n2"]


def test_room_is_kept_for_members_that_wait_for_others() -> None:
    main = a_member("main", replicas=1, memory_mib=700)
    main = main.model_copy(update={"depends_on": {"side": DependencyCondition.HEALTHY}})
    cluster = FakeCluster.of("n1", memory_mib=1500)
    cluster.deploy(a_stack(main, a_member("side", replicas=1, memory_mib=700), name="web"))
    cluster.reconcile()
    assert len(cluster.running(SIDE)) == 1 and cluster.running(WEB) == []

    other = a_service(template=a_template(memory_mib=500))
    cluster.deploy(a_stack(other, name="other"))
    cluster.reconcile()
    assert cluster.running(ServiceId("other.app")) == []

    cluster.settle()
    assert nodes_of(cluster, WEB) == nodes_of(cluster, SIDE) == {1: NodeId("n1")}


def test_room_that_is_kept_for_a_member_is_promised_to_nobody_more_important() -> None:
    cluster = FakeCluster.of("n1", memory_mib=1000)
    cluster.deploy(a_pod(1, memory_mib=400))
    cluster.settle()
    important = a_service(template=a_template(memory_mib=300)).model_copy(update={"priority": 10})
    cluster.deploy(a_stack(important, name="vip"))

    cluster.deploy(a_pod(1, side="2", memory_mib=400))
    outcome = cluster.settle()

    assert [task.template.image for task in cluster.ready(SIDE)] == ["web:2"]
    assert outcome.problems[ServiceId("vip.app")].message == "no node can take 1 of 1 tasks"


def test_one_member_is_replaced_without_the_others_and_never_beside_itself() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_pod())
    cluster.settle()
    sides, places = {task.id for task in cluster.running(SIDE)}, nodes_of(cluster, WEB)

    cluster.deploy(a_pod(main="2"))
    for _ in range(30):
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1
        active = [
            (task.slot, task.node)
            for task in cluster.tasks(WEB)
            if (status := cluster.status(task)) is not None and status.phase is not Phase.STOPPED
        ]
        assert len(active) == len(set(active))

    assert {task.template.image for task in cluster.ready(WEB)} == {"web:2"}
    assert nodes_of(cluster, WEB) == places
    assert {task.id for task in cluster.running(SIDE)} == sides


def test_a_lost_node_moves_the_whole_pod() -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.deploy(a_pod())
    cluster.settle()
    lost = nodes_of(cluster, WEB)[1]

    cluster.set_liveness(lost, Liveness.DEAD)
    cluster.reconcile()

    assert nodes_of(cluster, WEB) == nodes_of(cluster, SIDE)
    assert lost not in nodes_of(cluster, WEB).values()


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_drain_moves_whole_pods_one_after_the_other(replicas: int) -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(a_pod(replicas))
    cluster.settle()
    cluster.add_node("n2")
    cluster.reconcile()

    drain(cluster, "n1")
    for _ in range(60):
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1

    assert set(nodes_of(cluster, WEB).values()) == set(nodes_of(cluster, SIDE).values()) == {NodeId("n2")}
    assert len(cluster.ready(WEB)) == len(cluster.ready(SIDE)) == replicas


def test_members_scale_together_and_keep_the_same_slots() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_pod(3))
    cluster.settle()
    (first,) = [task for task in cluster.running(SIDE) if task.slot == 1]
    cluster.publish(first, Phase.BACKOFF)

    assert cluster.commit(stacks.scale(cluster.state, SIDE, 2))
    cluster.reconcile()

    assert set(nodes_of(cluster, WEB)) == set(nodes_of(cluster, SIDE)) == {1, 2}


def test_a_member_on_the_wrong_node_goes_to_its_pod() -> None:
    cluster = FakeCluster.of("n1", "n2")
    cluster.deploy(a_pod(1))
    cluster.settle()
    (side,) = cluster.running(SIDE)
    elsewhere = NodeId("n2") if side.node == "n1" else NodeId("n1")
    stored = cluster.state.tasks[side.id]
    moved = stored.value.model_copy(update={"node": elsewhere, "created_at": side.created_at + 1})
    assert cluster.commit(Transaction((Compare(moved.key, stored.revision),), (put(moved.key, moved),)))

    for _ in range(20):
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1

    assert nodes_of(cluster, WEB) == nodes_of(cluster, SIDE)


def test_services_that_cant_share_a_network_are_refused() -> None:
    assert refusal(a_member("a", port=8001), a_member("b", port=8002)) == (
        "pod 'front': 'a' and 'b' both listen on port 80 of the network that they share: let one of them listen on "
        "another"
    )
    assert "'a' has 2 replicas and 'b' has 3" in refusal(a_member("a"), a_member("b", replicas=3))
    globally = a_member("b").model_copy(update={"mode": Mode.GLOBAL})
    assert "'a' is replicated and 'b' is global" in refusal(a_member("a"), globally)
    blue_green = a_member("a").model_copy(update={"rollout": RolloutPolicy(blue_green=True)})
    assert "can't run beside itself" in refusal(blue_green)
    member = a_member("a")
    options = member.template.options.model_copy(update={"dns": ("10.0.0.1",)})
    named = member.model_copy(update={"template": member.template.model_copy(update={"options": options})})
    assert "remove dns" in refusal(named)


def test_members_of_a_pod_are_stored_stop_first() -> None:
    cluster = FakeCluster.of("n1")
    cluster.deploy(a_pod())
    assert cluster.state.services[WEB].value.spec.rollout.update.order is Order.STOP_FIRST
    assert stacks.deploy(cluster.state, a_pod(), 0.0).operations == ()
    assert StackName("web") in cluster.state.stacks


def a_side_that_comes_first(replicas: int, main: str, side: str, waits: bool) -> StackSpec:
    stack = a_pod(replicas, main, side, memory_mib=300)
    if not waits:
        return stack
    first = {"depends_on": {"side": DependencyCondition.HEALTHY}}
    services = {**stack.services, "main": stack.services["main"].model_copy(update=first)}
    return stack.model_copy(update={"services": services})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("main"), st.sampled_from("12")),
        st.tuples(st.just("side"), st.sampled_from("12")),
        st.tuples(st.just("scale"), st.integers(0, 4)),
        st.tuples(st.just("lose"), st.sampled_from(["n1", "n2", "n3"])),
        st.tuples(st.just("return"), st.sampled_from(["n1", "n2", "n3"])),
        st.tuples(st.just("drain"), st.sampled_from(["n1", "n2"])),
        st.tuples(st.just("act"), st.integers(1, 4)),
    ),
    max_size=25,
)


@settings(max_examples=50, deadline=None)
@given(STEPS, st.booleans())
def test_whatever_happens_a_pod_is_whole_and_on_one_node_in_the_end(
    steps: list[tuple[str, object]], waits: bool
) -> None:
    cluster = FakeCluster.of("n1", "n2", "n3")
    spec = {"main": "1", "side": "1"}
    replicas = 2
    cluster.deploy(a_side_that_comes_first(replicas, **spec, waits=waits))
    cluster.reconcile()
    for what, value in steps:
        match what:
            case "main" | "side":
                spec[what] = str(value)
            case "scale":
                replicas = int(str(value))
            case "lose":
                others = {id_ for id_, node in cluster.nodes.items() if node.liveness is Liveness.ALIVE} - {value}
                if others - {"n1", "n2"}:
                    cluster.set_liveness(str(value), Liveness.DEAD)
            case "return":
                cluster.set_liveness(str(value), Liveness.ALIVE)
                cluster.nodes[NodeId(str(value))] = replace(cluster.nodes[NodeId(str(value))], tasks={})
            case "drain":
                drain(cluster, str(value))
            case _:
                for _ in range(int(str(value))):
                    cluster.nodes_act()
        cluster.deploy(a_side_that_comes_first(replicas, **spec, waits=waits))
        cluster.now += 1
        cluster.reconcile()
        _assert_nothing_new_is_apart(cluster)

    for _ in range(120):
        cluster.reconcile()
        cluster.nodes_act()
        cluster.now += 1

    assert nodes_of(cluster, WEB) == nodes_of(cluster, SIDE)
    assert set(nodes_of(cluster, WEB)) == set(range(1, replicas + 1))
    assert len(cluster.ready(WEB)) == len(cluster.ready(SIDE)) == replicas


def _assert_nothing_new_is_apart(cluster: FakeCluster) -> None:
    """Tasks that were created by the last look are where their pod is."""
    pods: dict[int, list[Task]] = defaultdict(list)
    for task in (*cluster.running(WEB), *cluster.running(SIDE)):
        pods[task.slot].append(task)
    for tasks in pods.values():
        if any(task.created_at == cluster.now for task in tasks):
            assert len({task.node for task in tasks}) == 1
