"""Placement as the leader does it: labels in effect, constraints that come and go, roles, devices, flapping nodes."""

from dataclasses import replace

import pytest
from controllers_builders import APP, FakeCluster, a_service, a_stack, a_template

from swarmlet.controllers import nodes, reconcile
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.observed import Liveness
from swarmlet.model.placement import Constraint, Placement, Taint, TaintEffect, Toleration
from swarmlet.model.spec import Mode, Mount, MountKind, Resources, ServiceSpec
from swarmlet.model.stock import image_key, volume_key

PLAIN = ServiceId("web.plain")
SSD = Placement(constraints=(Constraint(attribute="node.labels.disk", value="ssd"),))


def placed(placement: Placement, replicas: int = 1, mode: Mode = Mode.REPLICATED) -> ServiceSpec:
    return a_service(replicas=replicas, mode=mode).model_copy(update={"placement": placement})


def label(cluster: FakeCluster, node: str, **labels: str | None) -> None:
    assert cluster.commit(nodes.change(cluster.state, node, labels=labels))


def with_facts(cluster: FakeCluster, node: str, **facts: object) -> None:
    seen = cluster.nodes[NodeId(node)]
    assert seen.facts is not None
    cluster.nodes[NodeId(node)] = replace(seen, facts=seen.facts.model_copy(update=facts))


def where(cluster: FakeCluster) -> list[str]:
    return sorted(task.node for task in cluster.running())


@pytest.fixture
def three() -> FakeCluster:
    cluster = FakeCluster.of("n1", "n2", "n3")
    cluster.settle()
    return cluster


def test_a_label_set_at_run_time_wins_over_the_nodes_own(three: FakeCluster) -> None:
    with_facts(three, "n1", labels={"disk": "ssd"})
    with_facts(three, "n2", labels={"disk": "hdd"})
    label(three, "n1", disk="hdd")
    label(three, "n2", disk="ssd")

    three.deploy(a_stack(placed(SSD, replicas=2)))
    three.settle()

    assert where(three) == ["n2", "n2"]


def test_the_zone_of_a_nodes_configuration_is_a_label(three: FakeCluster) -> None:
    for node, zone in (("n1", "a"), ("n2", "a"), ("n3", "b")):
        with_facts(three, node, zone=zone)

    three.deploy(a_stack(placed(Placement(spread=("node.labels.zone",)), replicas=4)))
    three.settle()

    assert where(three) == ["n1", "n2", "n3", "n3"]


def test_no_node_fits_and_each_says_why(three: FakeCluster) -> None:
    three.deploy(a_stack(placed(SSD)))

    outcome = three.settle()

    assert three.running() == []
    assert set(outcome.problems[APP].per_node.values()) == {"node.labels.disk==ssd is not so: it has no such label"}
    label(three, "n2", disk="ssd")
    assert three.settle().problems == {}
    assert where(three) == ["n2"]


def test_a_task_whose_node_is_no_longer_asked_for_leaves_it_beside_its_successor(three: FakeCluster) -> None:
    three.deploy(a_stack(placed(Placement(), replicas=1)))
    three.settle()
    (before,) = three.running()
    other = next(name for name in ("n1", "n2", "n3") if name != before.node)
    label(three, other, disk="ssd")

    three.deploy(a_stack(placed(SSD, replicas=1)))
    three.reconcile()
    assert before.node in where(three), "it serves until the other one does"
    three.settle()

    assert where(three) == [other]
    stopped = next(task for task in three.tasks() if task.id == before.id)
    assert stopped.stop_reason == f"{before.node}: node.labels.disk==ssd is not so: it has no such label"


def test_a_task_stays_where_no_other_node_will_do(three: FakeCluster) -> None:
    label(three, "n1", disk="ssd")
    three.deploy(a_stack(placed(SSD)))
    three.settle()
    (before,) = three.running()

    label(three, "n1", disk=None)
    outcome = three.settle()

    assert three.running() == [before]
    assert "waits: no room" in outcome.problems[APP].message


def test_a_global_service_runs_on_the_nodes_that_it_asks_for(three: FakeCluster) -> None:
    label(three, "n1", disk="ssd")
    label(three, "n2", disk="ssd")
    three.deploy(a_stack(placed(SSD, mode=Mode.GLOBAL)))

    assert three.settle().problems == {}
    assert where(three) == ["n1", "n2"]
    label(three, "n1", disk="hdd")
    label(three, "n3", disk="ssd")
    assert three.settle().problems == {}
    assert where(three) == ["n2", "n3"]


def test_facts_that_have_not_arrived_move_nothing(three: FakeCluster) -> None:
    with_facts(three, "n1", labels={"disk": "ssd"})
    three.deploy(a_stack(placed(SSD)))
    three.settle()
    three.nodes[NodeId("n1")] = replace(three.nodes[NodeId("n1")], facts=None)

    assert three.look().transactions == []


def test_who_votes_decides_where_a_task_goes_and_moves_none(three: FakeCluster) -> None:
    manager = Placement(constraints=(Constraint(attribute="node.role", value="manager"),))
    three.deploy(a_stack(placed(manager)))

    outcome = reconcile(three.state, three.observed, three.now, gone=(), voters=(NodeId("n3"),))
    for transaction in outcome.transactions:
        assert three.commit(transaction)

    assert where(three) == ["n3"]
    three.settle()
    assert reconcile(three.state, three.observed, three.now, gone=(), voters=(NodeId("n1"),)).transactions == []


def test_a_tolerated_taint_repels_nobody(three: FakeCluster) -> None:
    for node, effect in (("n1", TaintEffect.NO_SCHEDULE), ("n2", TaintEffect.NO_EXECUTE)):
        assert three.commit(nodes.change(three.state, node, taints=[Taint(key="gpu", effect=effect)]))
    three.deploy(a_stack(placed(Placement(), replicas=3), placed_as("tough", Placement(tolerations=(Toleration(),)))))

    three.settle()

    assert where(three) == ["n3", "n3", "n3"]
    assert {task.node for task in three.running(APP.replace("app", "tough"))} == {"n1", "n2", "n3"}  # type: ignore[arg-type]


def placed_as(name: str, placement: Placement) -> ServiceSpec:
    return a_service(name, mode=Mode.GLOBAL).model_copy(update={"placement": placement})


def test_devices_go_to_as_many_tasks_as_there_are(three: FakeCluster) -> None:
    with_facts(three, "n2", devices={"gpu": 2})
    template = a_template().model_copy(update={"reservations": Resources(devices={"gpu": 1})})
    three.deploy(a_stack(a_service(replicas=3, template=template)))

    outcome = three.settle()

    assert where(three) == ["n2", "n2"]
    assert outcome.problems[APP].per_node["n2"] == "needs 1 × gpu, 0 of 2 free"
    assert outcome.problems[APP].per_node["n1"] == "has no gpu"


def test_a_node_that_flaps_is_avoided_until_it_has_been_steady_for_a_while(three: FakeCluster) -> None:
    for _ in range(3):
        for liveness in (Liveness.DEAD, Liveness.ALIVE):
            three.set_liveness("n1", liveness)
            three.reconcile()
            three.now += 1
    assert len(three.state.nodes[NodeId("n1")].value.downs) == 3

    three.deploy(a_stack(a_service(replicas=2)))
    three.settle()
    assert where(three) == ["n2", "n3"]
    three.now += 600
    three.deploy(a_stack(a_service(replicas=3)))
    three.settle()

    assert where(three) == ["n1", "n2", "n3"]


def test_only_the_last_few_falls_of_a_node_are_kept(three: FakeCluster) -> None:
    for _ in range(8):
        for liveness in (Liveness.DEAD, Liveness.ALIVE):
            three.set_liveness("n1", liveness)
            three.reconcile()
            three.now += 1

    downs = three.state.nodes[NodeId("n1")].value.downs
    assert len(downs) == 5
    assert downs == tuple(sorted(downs))


def test_a_task_goes_where_its_volume_is_and_else_where_its_image_is(three: FakeCluster) -> None:
    data = Mount(kind=MountKind.VOLUME, source="web_data", target="/data")
    with_facts(three, "n2", images=(image_key("docker.io/library/web:1"),))
    with_facts(three, "n3", volumes=(volume_key("web_data"),))

    three.deploy(a_stack(a_service(template=a_template().model_copy(update={"mounts": (data,)})), a_service("plain")))
    three.settle()

    assert where(three) == ["n3"]
    assert [task.node for task in three.running(PLAIN)] == ["n2"]
