"""An important task displaces lesser ones, and never more than it needs."""

from itertools import combinations

import hypothesis.strategies as st
from hypothesis import given, settings
from scheduler_builders import a_node, a_request, away_from

from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.placement import Placement
from swarmlet.scheduler import ClusterCapacity, PlacementRequest
from swarmlet.scheduler.preemption import Preemption, Resident, displace

Residents = dict[NodeId, list[Resident]]

tasks = st.builds(
    a_request,
    st.sampled_from(["a.x", "a.y", "b.x"]),
    cpus=st.sampled_from([0, 0.5, 1]),
    memory_mib=st.sampled_from([0, 100, 300, 700]),
    priority=st.integers(0, 4),
    host_ports=st.sampled_from([(), (), (80,)]),
    devices=st.sampled_from([{}, {}, {"gpu": 1}]),
)
shy = Placement(affinities=(away_from("a.y"),))
shy_per_zone = Placement(affinities=(away_from("a.y", "node.labels.zone"),))
important = st.builds(
    a_request,
    st.just("vip.x"),
    cpus=st.sampled_from([0.5, 1, 2]),
    memory_mib=st.sampled_from([300, 900]),
    priority=st.integers(1, 4),
    host_ports=st.sampled_from([(), (80,)]),
    devices=st.sampled_from([{}, {"gpu": 1}]),
    placement=st.sampled_from([Placement(), shy, shy_per_zone]),
)


def a_full_cluster(drawn: list[list[PlacementRequest]]) -> tuple[ClusterCapacity, Residents]:
    """Each node gets those of its tasks that fit. Equal ones share one request, as a service's do."""
    ledger = ClusterCapacity(
        a_node(f"n{i}", cpus=2, memory_mib=1000, devices={"gpu": 1}, labels={"zone": "ab"[i % 2]})
        for i in range(len(drawn))
    )
    residents: Residents = {}
    alike: dict[str, PlacementRequest] = {}
    for number, requests in enumerate(drawn):
        node = NodeId(f"n{number}")
        for at, each in enumerate(requests):
            request = alike.setdefault(repr(each), each)
            if ledger.refusal(node, request) is None:
                ledger.assign(node, request)
                residents.setdefault(node, []).append(Resident(TaskId(f"{node}-{at}"), request))
    return ledger, residents


full_clusters = st.lists(st.lists(tasks, max_size=7), min_size=1, max_size=4).map(a_full_cluster)


def fits_without(ledger: ClusterCapacity, node: NodeId, gone: tuple[Resident, ...], request: PlacementRequest) -> bool:
    for each in gone:
        ledger.release(node, each.request)
    fits = ledger.refusal(node, request) is None
    for each in gone:
        ledger.assign(node, each.request)
    return fits


@settings(max_examples=300, deadline=None)
@given(cluster=full_clusters, request=important)
def test_none_of_the_displaced_can_be_spared(
    cluster: tuple[ClusterCapacity, Residents], request: PlacementRequest
) -> None:
    ledger, residents = cluster
    before = {node.id: (node.tasks, node.reserved_memory_bytes) for node in ledger.nodes}

    found = displace(request, ledger, residents)

    assert {node.id: (node.tasks, node.reserved_memory_bytes) for node in ledger.nodes} == before
    if found is None:
        return
    assert all(victim.request.priority < request.priority for victim in found.victims)
    assert fits_without(ledger, found.node, found.victims, request)
    for spared in found.victims:
        rest = tuple(victim for victim in found.victims if victim is not spared)
        assert not fits_without(ledger, found.node, rest, request), "one fewer would have done"


@settings(max_examples=200, deadline=None)
@given(cluster=full_clusters, request=important)
def test_the_least_important_that_will_do_give_way_and_room_that_can_be_had_is_found(
    cluster: tuple[ClusterCapacity, Residents], request: PlacementRequest
) -> None:
    ledger, residents = cluster
    if any(ledger.refusal(node.id, request) is None for node in ledger.nodes):
        return  # nobody has to give way

    found = displace(request, ledger, residents)

    possible = [
        max(each.request.priority for each in gone)
        for node, there in residents.items()
        for count in range(1, len(there) + 1)
        for gone in combinations([each for each in there if each.request.priority < request.priority], count)
        if fits_without(ledger, node, gone, request)
    ]
    highest = max(victim.request.priority for victim in found.victims) if found else None
    assert highest == min(possible, default=None)


rows = st.lists(st.tuples(important, st.integers(1, 4)), min_size=1, max_size=4).map(
    lambda parts: [request for request, count in parts for _ in range(count)]
)
"""As they come: several equal ones after each other."""


@settings(max_examples=300, deadline=None)
@given(cluster=full_clusters, wanted=rows)
def test_many_in_a_row_displace_the_same_as_one_at_a_time(
    cluster: tuple[ClusterCapacity, Residents], wanted: list[PlacementRequest]
) -> None:
    ledger, residents = cluster
    preemption = Preemption(ledger, residents)

    for request in wanted:
        found = preemption.displace(request)
        assert found == displace(request, ledger, residents)
        for victim in found.victims if found else ():
            ledger.release(found.node, victim.request)
            residents[found.node].remove(victim)
        if found:
            ledger.assign(found.node, request)


def test_equal_tasks_search_only_the_nodes_where_something_changed() -> None:
    small, large = a_request("a.x", memory_mib=100), a_request("vip.x", memory_mib=100, priority=1)
    nodes = [NodeId(f"n{number}") for number in range(10)]
    ledger = ClusterCapacity([a_node(node, memory_mib=200) for node in nodes])
    residents = {node: [Resident(TaskId(f"{node}-{at}"), small) for at in range(2)] for node in nodes}
    for node in nodes * 2:
        ledger.assign(node, small)
    preemption = Preemption(ledger, residents)

    for _ in range(5):
        found = preemption.displace(large)
        assert found is not None
        ledger.release(found.node, small)
        residents[found.node].remove(found.victims[0])
        ledger.assign(found.node, large)

    assert preemption.searched <= 10 + 4


def test_one_large_task_gives_way_rather_than_many_small_ones_and_a_small_one_rather_than_a_large_one() -> None:
    ledger = ClusterCapacity([a_node("n1", memory_mib=800)])
    residents = []
    for name, size in (("a", 100), ("b", 100), ("c", 100), ("d", 200), ("e", 300)):
        request = a_request(f"{name}.x", memory_mib=size)
        ledger.assign(NodeId("n1"), request)
        residents.append(Resident(TaskId(name), request))

    def victims(size: int) -> list[str]:
        found = displace(a_request("vip.x", memory_mib=size, priority=1), ledger, {NodeId("n1"): residents})
        return [victim.task for victim in found.victims] if found else []

    assert victims(300) == ["e"]
    assert victims(200) == ["d"]
    assert victims(100) == ["a"]
    assert victims(900) == []


def test_equals_never_give_way_to_each_other() -> None:
    ledger = ClusterCapacity([a_node("n1", memory_mib=100)])
    lesser = a_request("a.x", memory_mib=100, priority=3)
    ledger.assign(NodeId("n1"), lesser)
    residents = {NodeId("n1"): [Resident(TaskId("a"), lesser)]}

    assert displace(a_request("b.x", memory_mib=100, priority=3), ledger, residents) is None
    assert displace(a_request("b.x", memory_mib=100, priority=4), ledger, residents) is not None
