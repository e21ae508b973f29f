"""Each filter says no in words for people, by what the node is, what people said of it, and who else is there."""

import pytest
from scheduler_builders import a_constraint, a_node, a_request, away_from, beside

from swarmlet.model.placement import Placement, Taint, TaintEffect, Toleration
from swarmlet.model.spec import ALL_DEVICES
from swarmlet.scheduler import Cluster, ClusterCapacity, NodeView, Placed, PlacementRequest, Unplaceable, place

GPU = Taint(key="gpu", value="yes")
NO_EXECUTE = Taint(key="gpu", effect=TaintEffect.NO_EXECUTE)
ZONE = "node.labels.zone"


def wants(*constraints: str, **more: object) -> PlacementRequest:
    return a_request(placement=Placement(constraints=tuple(a_constraint(each) for each in constraints), **more))


def why(request: PlacementRequest, node: NodeView, *others: NodeView) -> str:
    """Empty where the node takes the task."""
    answer = place(request, [node, *others])
    return answer.reasons.get(node.id, "") if isinstance(answer, Unplaceable) else ""


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (wants("node.labels.disk==ssd"), ""),
        (wants("node.labels.disk==SSD"), ""),
        (wants("node.labels.disk!=ssd"), "node.labels.disk!=ssd is not so: it is ssd"),
        (wants("node.labels.rack==a"), "node.labels.rack==a is not so: it has no such label"),
        (wants("node.labels.rack!=a"), ""),
        (wants("node.hostname==n1", "node.id==n1", "node.platform.os==linux"), ""),
        (wants("node.hostname==n2"), "node.hostname==n2 is not so: it is n1"),
        (wants("node.platform.arch==x86_64"), ""),
        (wants("node.platform.arch==aarch64"), "node.platform.arch==aarch64 is not so: it is amd64"),
        (wants("node.role==manager"), "node.role==manager is not so: it is worker"),
        (wants(platform="linux/amd64"), ""),
        (wants(platform="linux"), ""),
        (wants(platform="linux/arm64/v8"), "is linux/amd64, not linux/arm64/v8"),
        (wants(platform="windows/amd64"), "is linux/amd64, not windows/amd64"),
    ],
)
def test_a_node_is_what_the_service_asks_for_or_says_what_it_is(request_: PlacementRequest, reason: str) -> None:
    assert why(request_, a_node("n1", labels={"disk": "ssd"}, role="worker")) == reason


@pytest.mark.parametrize(
    ("taint", "toleration", "tolerated"),
    [
        (GPU, None, False),
        (GPU, Toleration(), True),
        (GPU, Toleration(key="gpu"), True),
        (GPU, Toleration(key="gpu", value="yes"), True),
        (GPU, Toleration(key="gpu", value="no"), False),
        (GPU, Toleration(key="disk"), False),
        (GPU, Toleration(key="gpu", effect=TaintEffect.NO_EXECUTE), False),
        (NO_EXECUTE, Toleration(key="gpu", effect=TaintEffect.NO_EXECUTE), True),
        (NO_EXECUTE, Toleration(effect=TaintEffect.NO_SCHEDULE), False),
    ],
)
def test_a_taint_repels_what_does_not_tolerate_it(taint: Taint, toleration: Toleration | None, tolerated: bool) -> None:
    request = a_request(placement=Placement(tolerations=(toleration,) if toleration else ()))

    reason = why(request, a_node("n1", taints=(taint,)))

    assert reason == ("" if tolerated else f"has the taint {taint}, which is not tolerated")


def test_a_cordoned_node_gets_nothing_but_global_services_tasks() -> None:
    node = a_node("n1", cordoned=True)

    assert why(a_request(), node) == "is cordoned"
    assert why(a_request(on_every_node=True), node) == ""


def test_devices_are_counted() -> None:
    node = a_node("n1", devices={"gpu": 2})
    node.assign(a_request("ml.train", devices={"gpu": 1}))

    assert why(a_request(devices={"gpu": 1}), node) == ""
    assert why(a_request(devices={"gpu": 2}), node) == "needs 2 × gpu, 1 of 2 free"
    assert why(a_request(devices={"fpga": 1}), node) == "has no fpga"


def test_who_wants_all_devices_leaves_none_for_others_and_takes_none_away() -> None:
    node, everything = a_node("n1", devices={"gpu": 2}), a_request("ml.train", devices={"gpu": ALL_DEVICES})

    assert why(everything, node) == ""
    assert why(everything, a_node("n2")) == "has no gpu"
    node.assign(everything)
    assert why(a_request(devices={"gpu": 1}), node) == "needs 1 × gpu, 0 of 2 free"
    assert why(everything, node) == "needs all × gpu, 0 of 2 free"
    node.release(everything)
    node.assign(a_request(devices={"gpu": 1}))
    assert why(everything, node) == "needs all × gpu, 1 of 2 free"


def test_a_port_of_the_node_is_had_once_and_freed_when_its_task_is_gone() -> None:
    node, holder = a_node("n1"), a_request("dns.app", host_ports=(53,))
    node.assign(holder, leaving=True)

    assert why(a_request(host_ports=(53, 80)), node) == "port 53 of the node is taken"
    node.release(holder, leaving=True)
    assert why(a_request(host_ports=(53, 80)), node) == ""


def test_a_node_gets_no_more_tasks_of_a_service_than_its_limit() -> None:
    node, limited = a_node("n1"), a_request(placement=Placement(per_node_max=1))
    node.assign(limited, leaving=True)
    assert why(limited, node) == "", "one that is about to be replaced does not hold up its successor"

    node.assign(limited)

    assert why(limited, node) == "has 1 of its tasks, and 1 is the most a node may get"


def test_a_task_goes_only_beside_the_service_that_it_needs() -> None:
    lone, mate, near = a_node("n1"), a_node("n2", labels={"zone": "a"}), a_node("n3", labels={"zone": "a"})
    mate.assign(a_request("web.db"))

    assert why(a_request(placement=Placement(affinities=(beside("web.db"),))), lone, near) == (
        "no task of web.db is there"
    )
    by_zone = a_request(placement=Placement(affinities=(beside("web.db", ZONE),)))
    assert place(by_zone, [lone, mate, near]) == Placed(near.id)
    mate.release(a_request("web.db"))
    assert why(by_zone, lone, mate, near) == f"no task of web.db is where {ZONE} is not set"


def test_a_task_keeps_away_and_is_kept_away_from_both_sides() -> None:
    shy, other = a_request("web.shy", placement=Placement(affinities=(away_from("web.db"),))), a_request("web.db")
    first, second = a_node("n1"), a_node("n2")
    first.assign(other)
    second.assign(shy)

    assert why(shy, first) == "a task of web.db is there"
    assert why(other, second) == "a task that keeps away from it is there"


def test_keeping_away_holds_over_whole_domains_and_among_the_same_service() -> None:
    ledger = ClusterCapacity([a_node(f"n{i}", labels={"zone": "ab"[i % 2]}) for i in range(4)])
    alone = a_request(placement=Placement(affinities=(away_from("web.app", ZONE),)))

    placed = [ledger.place(alone) for _ in range(3)]

    assert [isinstance(each, Placed) for each in placed] == [True, True, False]
    assert "a task of web.app is where node.labels.zone is a" in str(placed[2])


def test_rules_that_have_nothing_to_do_with_a_task_are_not_asked() -> None:
    nodes = Cluster([a_node("n1")])
    capacity = ClusterCapacity(nodes.nodes.values())

    assert capacity.refusal(a_node("n1").id, a_request()) is None
