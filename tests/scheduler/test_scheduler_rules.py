"""Each rule says no in words for people, or ranks; the first score that differs decides."""

import pytest
from scheduler_builders import a_node, a_request

from swarmlet.model.ids import NodeId
from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.scheduler import Cluster, NodeView, Placed, Unplaceable, explain, place


def chosen(answer: Placed | Unplaceable) -> str:
    assert isinstance(answer, Placed), str(answer)
    return answer.node


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (a_node("n1", status=NodeStatus.DOWN), "is down"),
        (a_node("n1", status=NodeStatus.LEFT), "has left"),
        (a_node("n1", liveness=Liveness.SUSPECT), "does not answer (suspected dead)"),
        (a_node("n1", liveness=Liveness.DEAD), "does not answer"),
        (a_node("n1", liveness=None), "has not been heard of yet"),
        (a_node("n1", memory_mib=200), "needs 512 MiB of memory, 200 MiB free"),
        (a_node("n1", cpus=0.5), "needs 1 CPU, 0.5 free"),
        (a_node("n1", cpus=0, memory_mib=0), "needs 1 CPU, 0 free and needs 512 MiB of memory, 0 MiB free"),
        (NodeView(NodeId("n1"), "n1", NodeStatus.UP, Liveness.ALIVE, None), "its capacity is not known yet"),
    ],
)
def test_a_node_is_refused_with_a_reason(node: NodeView, reason: str) -> None:
    answer = place(a_request(cpus=1, memory_mib=512), [node])

    assert answer == Unplaceable({node.id: reason}, {node.id: "n1"})
    assert str(answer) == f"n1: {reason}"


def test_without_nodes_there_is_nothing_to_give_reasons_for() -> None:
    assert str(place(a_request(), [])) == "there is no node"


def test_a_task_that_reserves_nothing_fits_where_capacity_is_unknown() -> None:
    node = NodeView(NodeId("n1"), "n1", NodeStatus.UP, Liveness.ALIVE, None)

    assert chosen(place(a_request(), [node])) == "n1"


def test_ten_tenths_of_a_core_are_one_core() -> None:
    node = a_node("n1", cpus=1)

    for _ in range(10):
        assert chosen(place(a_request(cpus=0.1), [node])) == "n1"
        node.assign(a_request(cpus=0.1))

    assert isinstance(place(a_request(cpus=0.1), [node]), Unplaceable)


def test_the_node_with_the_fewest_tasks_of_the_service_comes_first() -> None:
    busy, lone = a_node("busy"), a_node("lone")
    for _ in range(5):
        busy.assign(a_request("other.app"))
    lone.assign(a_request())

    assert chosen(place(a_request(), [lone, busy])) == "busy"


def test_then_the_node_with_the_fewest_tasks_in_all() -> None:
    busy, idle = a_node("busy"), a_node("idle")
    busy.assign(a_request("other.app"))

    assert chosen(place(a_request(), [busy, idle])) == "idle"


def test_then_the_node_with_most_room() -> None:
    small, large = a_node("a-small"), a_node("b-large", memory_mib=8192)
    for node in (small, large):
        node.assign(a_request("other.app", memory_mib=1024))

    assert chosen(place(a_request(), [small, large])) == "b-large"


def test_then_the_name_decides_whatever_the_order_of_the_nodes() -> None:
    nodes = [a_node(name) for name in ("n3", "n1", "n2")]

    assert chosen(place(a_request(), nodes)) == chosen(place(a_request(), nodes[::-1])) == "n1"


def test_a_task_that_is_about_to_go_takes_room_but_is_no_part_of_the_spread() -> None:
    node, other = a_node("n1", memory_mib=1024), a_node("n2")
    node.assign(a_request(memory_mib=600), leaving=True)
    other.assign(a_request())

    assert chosen(place(a_request(), [node, other])) == "n1"
    assert isinstance(place(a_request(memory_mib=600), [node]), Unplaceable)


def test_every_rule_explains_itself_on_every_node() -> None:
    free, full = a_node("free"), a_node("full", memory_mib=100)

    first, second = explain(a_request(memory_mib=512), Cluster([full, free]))

    assert (first.name, first.accepted, second.name, second.accepted) == ("free", True, "full", False)
    assert [(rule.rule, rule.refused, rule.text) for rule in second.rules] == [
        ("node-is-up", False, "fits"),
        ("node-is-alive", False, "fits"),
        ("node-is-not-cordoned", False, "fits"),
        ("taints-are-tolerated", False, "fits"),
        ("resources-fit", True, "needs 512 MiB of memory, 100 MiB free"),
        ("fewest-tasks-of-service", False, "0 tasks of web.app"),
        ("fewest-tasks", False, "0 tasks in all"),
        ("least-reserved", False, "0% reserved"),
    ]
