import pytest
from store_builders import a_put, a_transaction

from swarmlet.model.transaction import Delete
from swarmlet.store import Room, Store, StoreFull
from swarmlet.store.objects import OBJECT_OVERHEAD_BYTES
from swarmlet.store.room import growth_of

OBJECT_BYTES = OBJECT_OVERHEAD_BYTES + 1 + 100


def a_full_store(room: Room) -> Store:
    """Two objects, for which there is room, and none for a third."""
    store = Store()
    for index, key in enumerate("ab", start=1):
        transaction = a_transaction(a_put(key, b"x" * 100))
        room.take(store, transaction)
        store.apply(index, transaction)
        room.release(OBJECT_BYTES)
    return store


@pytest.fixture
def room() -> Room:
    return Room(size_bytes_max=2 * OBJECT_BYTES + 50)


def test_what_would_make_the_store_too_large_is_refused_with_the_figures(room: Room) -> None:
    store = a_full_store(room)

    with pytest.raises(StoreFull) as refused:
        room.take(store, a_transaction(a_put("c", b"x" * 100)))

    error = refused.value
    assert (error.size_bytes, error.growth_bytes, error.size_bytes_max) == (
        2 * OBJECT_BYTES, OBJECT_BYTES, room.size_bytes_max,
    )  # fmt: skip


def test_a_full_store_takes_what_makes_it_no_larger(room: Room) -> None:
    store = a_full_store(room)

    for transaction in (
        a_transaction(Delete("a")),
        a_transaction(a_put("a", b"y" * 100)),
        a_transaction(a_put("a", b"")),
        a_transaction(Delete("a"), a_put("c", b"x" * 100)),
        a_transaction(a_put("c", b"x" * 100), Delete("c")),
        a_transaction(compares=()),
    ):
        assert room.take(store, transaction) == 0


def test_room_is_set_aside_until_it_is_used_or_given_back(room: Room) -> None:
    store = Store()
    first, second, third = (a_transaction(a_put(key, b"x" * 100)) for key in "abc")
    room.take(store, first)
    taken = room.take(store, second)
    with pytest.raises(StoreFull):
        room.take(store, third)

    room.release(taken)

    assert room.take(store, third) == OBJECT_BYTES


def test_growth_counts_the_last_operation_on_each_key() -> None:
    store = Store()
    store.apply(1, a_transaction(a_put("a", b"x" * 100), a_put("b", b"x" * 100)))

    grown = growth_of(store, a_transaction(a_put("a", b"x" * 130), Delete("b"), Delete("none"), a_put("c", b"x" * 100)))

    assert grown == 30 - OBJECT_BYTES + OBJECT_BYTES


def test_people_are_told_when_it_is_nearly_full(room: Room) -> None:
    assert room.problem(Store()) is None
    assert "store.size_max" in (room.problem(a_full_store(room)) or "")
