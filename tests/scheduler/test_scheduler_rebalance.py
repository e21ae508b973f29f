"""Few moves make a cluster even; an even one has none."""

import hypothesis.strategies as st
from hypothesis import given, settings
from scheduler_builders import a_constraint, a_node, a_request, away_from

from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.placement import NodePreference, Placement
from swarmlet.scheduler import ClusterCapacity, PlacementRequest
from swarmlet.scheduler.rebalance import Move, moves

ZONE = "node.labels.zone"
Counts = list[int]
Services = list[tuple[PlacementRequest, dict[NodeId, list[TaskId]]]]

placements = st.sampled_from(
    [
        Placement(),
        Placement(spread=(ZONE,)),
        Placement(constraints=(a_constraint("node.labels.disk==ssd"),)),
        Placement(preferences=(NodePreference(constraint=a_constraint("node.labels.disk==ssd")),)),
        Placement(affinities=(away_from("s0.x", required=False),)),
    ]
)
services = st.lists(
    st.tuples(placements, st.sampled_from([0, 100, 400]), st.lists(st.integers(0, 5), min_size=5, max_size=5)),
    min_size=1,
    max_size=4,
)


def a_cluster(drawn: list[tuple[Placement, int, Counts]], zones: bool = True) -> tuple[ClusterCapacity, Services]:
    nodes = []
    for number in range(5):
        labels = {"disk": "ssd" if number < 3 else "hdd", "zone": "ab"[number % 2] if zones else "a"}
        nodes.append(a_node(f"n{number}", memory_mib=2000, labels=labels))
    ledger = ClusterCapacity(nodes)
    found: Services = []
    for number, (placement, size, counts) in enumerate(drawn):
        request = a_request(f"s{number}.x", memory_mib=size, placement=placement)
        movable: dict[NodeId, list[TaskId]] = {}
        for at, count in enumerate(counts):
            for task in range(count):
                node = NodeId(f"n{at}")
                if ledger.refusal(node, request) is None:
                    ledger.assign(node, request)
                    movable.setdefault(node, []).append(TaskId(f"{number}-{at}-{task}"))
        found.append((request, movable))
    return ledger, found


def moved(found: Services, done: list[Move]) -> Services:
    after = [(request, {node: list(tasks) for node, tasks in movable.items()}) for request, movable in found]
    for move in done:
        for _, movable in after:
            if move.task in movable.get(move.source, ()):
                movable[move.source].remove(move.task)
                movable.setdefault(move.target, []).append(move.task)
    return after


@settings(max_examples=150, deadline=None)
@given(drawn=services)
def test_it_ends_and_no_task_is_moved_back(drawn: list[tuple[Placement, int, Counts]]) -> None:
    ledger, found = a_cluster(drawn)
    total = sum(node.tasks for node in ledger.nodes)

    for _ in range(30):
        done = moves(ledger, found, 100)
        assert len({move.task for move in done}) == len(done), "within one go each task moves once"
        assert all(move.source != move.target for move in done)
        found = moved(found, done)
        if not done:
            break
    else:
        raise AssertionError("it never ends")

    assert sum(node.tasks for node in ledger.nodes) == total
    assert all(node.free_memory_bytes >= 0 for node in ledger.nodes)
    for request, movable in found:
        for node in (node for node, tasks in movable.items() if tasks):
            ledger.release(node, request)
            assert ledger.refusal(node, request) is None, "nobody is where he may not be"
            ledger.assign(node, request)


@settings(max_examples=100, deadline=None)
@given(counts=st.lists(st.integers(0, 9), min_size=5, max_size=5))
def test_a_lone_service_gets_even_in_no_more_moves_than_it_takes(counts: Counts) -> None:
    ledger, found = a_cluster([(Placement(), 0, counts)], zones=False)
    low, rest = divmod(sum(counts), 5)
    ideal = sorted([low + 1] * rest + [low] * (5 - rest), reverse=True)
    needed = sum(max(have - want, 0) for have, want in zip(sorted(counts, reverse=True), ideal, strict=True))

    done = moves(ledger, found, 100)

    after = [node.tasks for node in ledger.nodes]
    assert max(after) - min(after) <= 1
    assert len(done) == needed


def test_a_move_says_which_rule_tells_the_nodes_apart() -> None:
    ledger, found = a_cluster([(Placement(), 0, [3, 0, 1, 1, 1])], zones=False)

    (move,) = moves(ledger, found, 10)

    assert (move.task, move.source, move.target) == ("0-0-2", "n0", "n1")
    assert move.why == "fewest-tasks-of-service: 0 tasks of s0.x there, 2 tasks of s0.x here without it"


def test_no_more_are_moved_than_were_asked_for() -> None:
    ledger, found = a_cluster([(Placement(), 0, [9, 0, 0, 0, 0])])

    assert len(moves(ledger, found, 2)) == 2


def test_an_image_or_a_little_more_room_moves_nothing() -> None:
    ledger = ClusterCapacity([a_node("n1", memory_mib=500), a_node("n2", images=frozenset(["web:1"]))])
    request = a_request(memory_mib=400, image="web:1")
    ledger.assign(NodeId("n1"), request)

    assert moves(ledger, [(request, {NodeId("n1"): [TaskId("t")]})], 10) == []
