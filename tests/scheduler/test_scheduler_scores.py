"""Each score ranks what the filters left; an earlier one decides, a later one breaks ties."""

import copy

from scheduler_builders import a_constraint, a_node, a_request, away_from, beside

from swarmlet.model.placement import NodePreference, Placement, Strategy
from swarmlet.scheduler import Cluster, ClusterCapacity, NodeView, Placed, PlacementRequest, explain, place

ZONE = "node.labels.zone"
BINPACK = Placement(strategy=Strategy.BINPACK)


def chosen(request: PlacementRequest, *nodes: NodeView) -> str:
    answer = place(request, nodes)
    assert isinstance(answer, Placed), str(answer)
    assert ClusterCapacity(copy.deepcopy(nodes)).place(request) == answer
    return answer.node


def test_a_flapping_node_is_avoided_as_long_as_another_will_do() -> None:
    flapping, busy, small = a_node("a", downs=3), a_node("b", downs=2), a_node("c", memory_mib=10)
    busy.assign(a_request())

    assert chosen(a_request(memory_mib=100), flapping, busy, small) == "b"
    assert chosen(a_request(memory_mib=100), flapping, small) == "a"


def test_preferred_nodes_come_first_and_avoided_ones_last() -> None:
    ssd = NodePreference(constraint=a_constraint("node.labels.disk==ssd"), weight=2)
    old = NodePreference(constraint=a_constraint("node.labels.age==old"), away=True)
    request = a_request(placement=Placement(preferences=(ssd, old)))
    plain, fast, aged = (
        a_node("a"),
        a_node("b", labels={"disk": "ssd", "age": "old"}),
        a_node("0", labels={"age": "old"}),
    )

    assert chosen(request, plain, fast, aged) == "b"
    assert chosen(request, plain, aged) == "a"


def test_wished_neighbours_are_wished_and_no_more() -> None:
    near = a_request(placement=Placement(affinities=(beside("web.db", required=False),)))
    far = a_request(placement=Placement(affinities=(away_from("web.db", ZONE, required=False),)))
    first, second = a_node("a", labels={"zone": "x"}), a_node("b", labels={"zone": "y"})
    second.assign(a_request("web.db"))

    assert chosen(near, first, second) == "b"
    assert chosen(far, second, first) == "a"
    assert chosen(far, second) == "b"


def test_a_spread_over_domains_comes_before_the_spread_over_nodes() -> None:
    request = a_request(placement=Placement(spread=(ZONE,)))
    nodes = [a_node("a1", labels={"zone": "a"}), a_node("a2", labels={"zone": "a"}), a_node("b1", labels={"zone": "b"})]
    nodes[0].assign(request)
    nodes[2].assign(request)
    nodes[1].assign(request)

    assert chosen(request, *nodes) == "b1"


def test_without_being_asked_zones_break_ties_only() -> None:
    nodes = [a_node("a1", labels={"zone": "a"}), a_node("a2", labels={"zone": "a"}), a_node("b1", labels={"zone": "b"})]
    nodes[0].assign(a_request())
    assert chosen(a_request(), *nodes) == "b1"

    nodes[2].assign(a_request())

    assert chosen(a_request(), *nodes) == "a2"


def test_a_volume_and_then_an_image_break_ties() -> None:
    bare, image, data = a_node("a"), a_node("b", images=frozenset(["web:1"])), a_node("c", volumes=frozenset(["v"]))

    assert chosen(a_request(image="web:1", volumes=("v",)), bare, image, data) == "c"
    assert chosen(a_request(image="web:1"), bare, image, data) == "b"
    image.assign(a_request("other.app"))
    assert chosen(a_request(image="web:1"), bare, image, data) == "a", "an even load comes first"


def test_bin_packing_fills_one_node_after_the_other() -> None:
    ledger = ClusterCapacity([a_node(f"n{i}", memory_mib=1000) for i in range(4)])

    for _ in range(5):
        assert isinstance(ledger.place(a_request(memory_mib=400, placement=BINPACK)), Placed)

    assert sorted(node.tasks for node in ledger.nodes) == [0, 1, 2, 2]
    for _ in range(3):
        ledger.place(a_request("other.app", placement=BINPACK))
    assert sorted(node.tasks for node in ledger.nodes) == [0, 1, 2, 5], "what reserves nothing goes where most are"


def test_bin_packing_takes_the_tightest_gap() -> None:
    roomy, tight = a_node("a", memory_mib=1000), a_node("b", memory_mib=500)

    assert chosen(a_request(memory_mib=400, placement=BINPACK), roomy, tight) == "a", "both are empty"
    tight.assign(a_request("other.app", memory_mib=50))
    assert chosen(a_request(memory_mib=400, placement=BINPACK), roomy, tight) == "b"


def test_scores_explain_their_numbers() -> None:
    request = a_request(
        placement=Placement(
            spread=(ZONE,),
            preferences=(NodePreference(constraint=a_constraint("node.labels.zone==a")),),
            affinities=(away_from("web.db", required=False),),
        )
    )
    (verdict,) = explain(request, Cluster([a_node("a", labels={"zone": "a"}, downs=4)]))

    assert {rule.rule: rule.text for rule in verdict.rules if rule.value is not None} == {
        "steady-nodes": "went down 4 times of late: avoided",
        "preferred-nodes": "preferred: node.labels.zone==a",
        "preferred-neighbours": "0 of web.db there, to be away",
        "even-over-domains": "0 tasks of web.app where node.labels.zone is a",
        "fewest-tasks-of-service": "0 tasks of web.app",
        "fewest-tasks": "0 tasks in all",
        "least-reserved": "0% reserved",
    }
