"""The ledger: many placements in a row give what one at a time would, without counting anything twice."""

import copy

import hypothesis.strategies as st
from hypothesis import given, settings
from scheduler_builders import MIB, a_constraint, a_node, a_request, away_from, beside

from swarmlet.model.ids import NodeId
from swarmlet.model.placement import Placement, Strategy
from swarmlet.scheduler import (
    SCORES,
    Cluster,
    ClusterCapacity,
    NodeView,
    Placed,
    PlacementRequest,
    Refusing,
    Rules,
    Unplaceable,
    place,
)

services = st.sampled_from(["a.x", "a.y", "b.x"])
wishes = st.sampled_from(
    [
        (),
        (away_from("a.x"),),
        (away_from("a.y", "node.labels.zone"),),
        (beside("a.y", "node.labels.zone"),),
        (beside("b.x"),),
        (away_from("a.x", "node.labels.zone", required=False), beside("b.x", required=False)),
    ]
)
placements = st.builds(
    Placement,
    constraints=st.sampled_from([(), (a_constraint("node.labels.disk==ssd"),)]),
    spread=st.sampled_from([(), ("node.labels.zone",), ("node.labels.zone", "node.labels.disk")]),
    per_node_max=st.sampled_from([0, 2]),
    affinities=wishes,
    strategy=st.sampled_from(Strategy),
)
requests = st.builds(
    a_request,
    services,
    cpus=st.sampled_from([0, 0.5, 1]),
    memory_mib=st.sampled_from([0, 100, 700]),
    placement=placements,
    devices=st.sampled_from([{}, {"gpu": 1}]),
    host_ports=st.sampled_from([(), (80,)]),
    image=st.sampled_from(["", "web:1"]),
)
rows = st.lists(st.tuples(requests, st.integers(1, 6)), max_size=8).map(
    lambda parts: [request for request, count in parts for _ in range(count)]
)
"""As they come: several equal ones after each other."""
sizes = st.tuples(
    st.sampled_from([1, 2, 4]),
    st.sampled_from([512, 1024, 4096]),
    st.sampled_from(["a", "b", ""]),
    st.sampled_from(["ssd", "hdd"]),
    st.sampled_from([frozenset[str](), frozenset(["web:1"])]),
)


def a_cluster(drawn: list[tuple[int, int, str, str, frozenset[str]]]) -> list[NodeView]:
    return [
        a_node(f"n{i}", cpus, memory, labels={"zone": zone, "disk": disk}, devices={"gpu": i}, images=images)
        for i, (cpus, memory, zone, disk, images) in enumerate(drawn)
    ]


clusters = st.lists(sizes, min_size=1, max_size=7).map(a_cluster)


@settings(max_examples=300, deadline=None)
@given(nodes=clusters, wanted=rows)
def test_the_ledger_decides_as_single_placements_do(nodes: list[NodeView], wanted: list[PlacementRequest]) -> None:
    one_by_one = copy.deepcopy(nodes)
    ledger = ClusterCapacity(nodes)

    for request in wanted:
        expected = place(request, one_by_one)
        if isinstance(expected, Placed):
            next(node for node in one_by_one if node.id == expected.node).assign(request)
        assert ledger.place(request) == expected


@settings(max_examples=50, deadline=None)
@given(nodes=st.integers(1, 8), tasks=st.integers(0, 60))
def test_the_spread_is_never_more_than_one_off_even(nodes: int, tasks: int) -> None:
    ledger = ClusterCapacity([a_node(f"n{i}", cpus=i + 1) for i in range(nodes)])

    for _ in range(tasks):
        ledger.place(a_request())

    counts = [node.tasks for node in ledger.nodes]
    assert max(counts) - min(counts) <= 1


@settings(max_examples=50, deadline=None)
@given(zones=st.lists(st.sampled_from("abc"), min_size=1, max_size=8), tasks=st.integers(0, 60))
def test_over_domains_too_the_spread_is_never_more_than_one_off_even(zones: list[str], tasks: int) -> None:
    ledger = ClusterCapacity([a_node(f"n{i}", labels={"zone": zone}) for i, zone in enumerate(zones)])
    request = a_request(placement=Placement(spread=("node.labels.zone",)))

    for _ in range(tasks):
        ledger.place(request)

    counts = {zone: [node.tasks for node in ledger.nodes if node.labels["zone"] == zone] for zone in set(zones)}
    in_zones = [sum(of_zone) for of_zone in counts.values()]
    assert max(in_zones) - min(in_zones) <= 1
    assert all(max(of_zone) - min(of_zone) <= 1 for of_zone in counts.values())


@settings(max_examples=50, deadline=None)
@given(nodes=clusters, wanted=rows)
def test_no_node_is_promised_more_than_it_has(nodes: list[NodeView], wanted: list[PlacementRequest]) -> None:
    ledger = ClusterCapacity(nodes)

    for request in wanted:
        ledger.place(request)

    assert all(node.free_memory_bytes >= 0 and node.free_cpus > -0.001 for node in ledger.nodes)


def test_released_room_can_be_had_again() -> None:
    ledger = ClusterCapacity([a_node("n1", memory_mib=512)])
    request = a_request(memory_mib=512)
    assert ledger.place(request) == Placed(NodeId("n1"))
    assert isinstance(ledger.place(request), Unplaceable)

    ledger.release(NodeId("n1"), request)

    assert ledger.place(request) == Placed(NodeId("n1"))


def test_a_task_whose_node_is_given_still_has_to_fit() -> None:
    ledger = ClusterCapacity([a_node("n1", memory_mib=512), a_node("n2")])
    request = a_request(memory_mib=512)

    assert ledger.place_on(NodeId("n1"), request) == Placed(NodeId("n1"))
    refused = ledger.place_on(NodeId("n1"), request)
    assert isinstance(refused, Unplaceable)
    assert dict(refused.reasons) == {"n1": "needs 512 MiB of memory, 0 MiB free"}
    assert str(ledger.place_on(NodeId("n9"), request)) == "n9: is not a member"


def test_tasks_on_unknown_nodes_are_no_ones_load() -> None:
    ledger = ClusterCapacity([a_node("n1")])

    ledger.assign(NodeId("n9"), a_request())

    assert ledger.nodes[0].tasks == 0
    assert ledger.node(NodeId("n9")) is None


def test_ten_thousand_tasks_of_a_hundred_services_visit_each_node_twice_per_service() -> None:
    """The cost is counted, not timed: rules are asked about 2·N + T nodes per service, not N·T."""
    asked = 0

    class Counting:
        name = "counting"
        fixed = False

        def refusing(self, request: PlacementRequest, cluster: Cluster) -> list[Refusing]:
            return [Refusing(self.refusal)]

        def refusal(self, node: NodeView) -> str | None:
            nonlocal asked
            asked += 1
            return None

    ledger = ClusterCapacity([a_node(f"n{i:04}") for i in range(1000)], Rules((Counting(),), SCORES))
    for service in range(100):
        request = a_request(f"s{service}.x", memory_mib=1)
        for _ in range(100):
            assert isinstance(ledger.place(request), Placed)

    assert asked <= 2 * 100 * 1000 + 2 * 10_000
    assert {node.tasks for node in ledger.nodes} == {10}
    assert sum(node.reserved_memory_bytes for node in ledger.nodes) == 10_000 * MIB
