"""Devices by their names: which are chosen, which refused and why, and who holds them."""

import hypothesis.strategies as st
import pytest
from hypothesis import given
from scheduler_builders import a_node

from swarmlet.model.ids import ServiceId
from swarmlet.model.spec import ALL_DEVICES, Resources
from swarmlet.scheduler import ClusterCapacity, NodeView, Placed, PlacementRequest, Unplaceable, place
from swarmlet.scheduler.devices import hold_devices
from swarmlet.scheduler.preemption import Resident, displace

GPUS = ("nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=2")


def named(name: str = "n1", gpus: tuple[str, ...] = GPUS, **more: object) -> NodeView:
    return a_node(name, devices={"gpu": len(gpus), "licence": 2}, device_ids={"gpu": gpus}, **more)


def wants(count: int = 0, ids: tuple[str, ...] = (), priority: int = 0, **more: int) -> PlacementRequest:
    reserved = Resources(devices={"gpu": count or len(ids), **more}, device_ids={"gpu": ids} if ids else {})
    return PlacementRequest(ServiceId("ml.train"), reserved, priority=priority)


def held(request: PlacementRequest, *ids: str) -> PlacementRequest:
    return PlacementRequest(request.service, request.reservations, devices={"gpu": ids}, priority=request.priority)


def why(request: PlacementRequest, node: NodeView) -> str:
    answer = place(request, [node])
    return answer.reasons[node.id] if isinstance(answer, Unplaceable) else ""


def given_to(node: NodeView, request: PlacementRequest) -> dict[str, tuple[str, ...]]:
    assert why(request, node) == ""
    node.assign(request)
    return hold_devices(node, request)


def test_the_first_free_ones_are_chosen_and_what_is_only_counted_is_not() -> None:
    node = named()

    assert given_to(node, wants(1, licence=1)) == {"gpu": GPUS[:1]}
    assert given_to(node, wants(2)) == {"gpu": GPUS[1:]}
    assert why(wants(1), node) == "needs 1 × gpu, 0 of 3 free"


def test_given_ids_are_chosen_by_their_end_too_and_others_go_round_them() -> None:
    node = named()

    assert given_to(node, wants(ids=("1",))) == {"gpu": (GPUS[1],)}
    assert given_to(node, wants(2)) == {"gpu": (GPUS[0], GPUS[2])}
    assert given_to(named(), wants(3, ids=(GPUS[2],))) == {"gpu": (GPUS[2], GPUS[0], GPUS[1])}
    assert given_to(named(), wants(ALL_DEVICES)) == {"gpu": GPUS}


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (("7",), "has no gpu 7"),
        (("0",), "its gpu 0 is taken"),
        (("1", GPUS[1]), f"its gpu {GPUS[1]} is asked for twice"),
        (("1", "2"), ""),
    ],
)
def test_an_id_that_is_absent_or_taken_is_named(ids: tuple[str, ...], reason: str) -> None:
    node = named()
    given_to(node, wants(1))

    assert why(wants(ids=ids), node) == reason


def test_a_node_without_names_gives_no_ids() -> None:
    assert why(wants(ids=("0",)), a_node("n1", devices={"gpu": 2})) == "does not name its gpu"
    assert why(wants(ids=("0",)), a_node("n1")) == "has no gpu"
    node = a_node("n1", devices={"gpu": 2})
    assert given_to(node, wants(1)) == {}


def test_while_nobody_knows_who_has_which_the_node_chooses() -> None:
    node = named()
    node.assign(wants(1))
    node.unnamed_devices.add("gpu")

    assert given_to(node, wants(1)) == {}
    assert why(wants(ids=("2",)), node).startswith("which of its gpu are taken is not known")


def test_what_is_released_is_free_again() -> None:
    node = named()
    holder = held(wants(1), GPUS[0])
    node.assign(holder, leaving=True)
    assert why(wants(ids=("0",)), node) == "its gpu 0 is taken"

    node.release(holder, leaving=True)
    assert given_to(node, wants(ids=("0",))) == {"gpu": (GPUS[0],)}


def test_many_in_a_row_that_want_one_id_get_it_once_a_node() -> None:
    ledger = ClusterCapacity([named("n1"), named("n2")])
    found = []
    for _ in range(3):
        answer = ledger.place(wants(ids=("1",)))
        found.append(answer.node if isinstance(answer, Placed) else str(answer))

    assert sorted(found[:2]) == ["n1", "n2"]
    assert found[2] == "n1: its gpu 1 is taken; n2: its gpu 1 is taken"


def test_who_has_the_wanted_one_gives_way_and_nobody_else() -> None:
    ledger = ClusterCapacity([named()])
    residents = [Resident(name, held(wants(1), gpu)) for name, gpu in zip("abc", GPUS, strict=True)]  # type: ignore[arg-type]
    for each in residents:
        ledger.assign(ledger.nodes[0].id, each.request)

    found = displace(wants(ids=("1",), priority=5), ledger, {ledger.nodes[0].id: residents})

    assert found is not None and [each.task for each in found.victims] == ["b"]
    assert ledger.refusal(ledger.nodes[0].id, wants(ids=("1",))) == "its gpu 1 is taken", "the ledger is as before"


@given(
    wishes=st.lists(
        st.sampled_from([wants(1), wants(2), wants(ALL_DEVICES), wants(ids=("0",)), wants(ids=("2", "1"))]), max_size=9
    ),
    leave=st.lists(st.integers(0, 8), max_size=4),
)
def test_whatever_comes_and_goes_no_two_hold_the_same_and_all_that_fit_are_given_enough(
    wishes: list[PlacementRequest], leave: list[int]
) -> None:
    ledger = ClusterCapacity([named("n1"), named("n2", GPUS[:2])])
    there: list[tuple[NodeView, PlacementRequest]] = []
    for turn, wish in enumerate(wishes):
        answer = ledger.place(wish)
        if isinstance(answer, Placed) and (node := ledger.node(answer.node)):
            ids = hold_devices(node, wish)["gpu"]
            count = wish.reservations.devices["gpu"]
            assert len(ids) == (len(node.device_ids["gpu"]) if count == ALL_DEVICES else count)
            there.append((node, held(wish, *ids)))
        if turn in leave and there:
            node, gone = there.pop(0)
            ledger.release(node.id, gone)
        owned = [(node.id, id_) for node, each in there for id_ in each.devices["gpu"]]
        assert len(owned) == len(set(owned))
    for node, each in there:
        ledger.release(node.id, each)
    assert not any(node.is_held("gpu", id_) for node in ledger.nodes for id_ in GPUS)
