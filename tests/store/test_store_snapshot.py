import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_builders import TRANSACTIONS, a_put, a_transaction

from swarmlet.model.pieces import PIECE_SIZE_BYTES, Pieces, pieces_of
from swarmlet.model.transaction import Delete, RequestId, Transaction
from swarmlet.store import Compacted, Restoring, Store, UnreadableSnapshot
from swarmlet.store.objects import object_size_bytes
from swarmlet.store.requests import RequestTable


def a_store(transactions: list[Transaction]) -> Store:
    store = Store()
    for index, transaction in enumerate(transactions, start=1):
        store.apply(index, transaction)
    return store


@given(st.lists(TRANSACTIONS, max_size=12), st.lists(TRANSACTIONS, max_size=6))
def test_a_replica_from_a_snapshot_goes_on_like_the_one_that_made_it(
    before: list[Transaction], after: list[Transaction]
) -> None:
    original = a_store(before)
    restored = Store.restore(original.snapshot())
    assert restored.snapshot() == original.snapshot()

    for index, transaction in enumerate(after, start=len(before) + 1):
        assert restored.apply(index, transaction) == original.apply(index, transaction)

    assert restored.state_hash() == original.state_hash()
    assert restored.scan("") == original.scan("")


def test_a_restored_store_knows_requests_that_were_applied_before_the_snapshot() -> None:
    write = a_transaction(a_put(), request=RequestId("alice", 1))
    restored = Store.restore(a_store([write]).snapshot())

    again = restored.apply(2, write)

    assert (again.duplicate, again.revision, restored.revision) == (True, 1, 1)


def test_a_restored_store_has_its_floor_at_the_snapshots_revision() -> None:
    restored = Store.restore(a_store([a_transaction(a_put()), a_transaction(a_put())]).snapshot())

    assert restored.changes_since(2) == []
    with pytest.raises(Compacted) as refused:
        restored.changes_since(1)
    assert refused.value.floor == 2


def test_the_client_that_was_silent_for_longest_is_forgotten_first() -> None:
    table = RequestTable(clients_max=2)
    store = Store()
    for client, sequence in (("alice", 1), ("bob", 1), ("alice", 2), ("carol", 1)):
        table.remember(RequestId(client, sequence), store.apply(store.applied_index + 1, a_transaction(a_put())))

    assert [(client, sequence) for client, sequence, _ in table] == [("alice", 2), ("carol", 1)]
    assert table.earlier_result(RequestId("bob", 1), 4) is None


@given(st.lists(TRANSACTIONS, max_size=12), st.lists(TRANSACTIONS, max_size=6), st.integers(1, 50))
def test_a_view_is_the_store_of_its_moment_in_whatever_pieces_it_is_read(
    before: list[Transaction], after: list[Transaction], size_bytes: int
) -> None:
    store = a_store(before)
    snapshot, view = store.snapshot(), store.view()

    for index, transaction in enumerate(after, start=len(before) + 1):
        store.apply(index, transaction)
    restoring = Restoring()
    for piece in pieces_of(Pieces(view.pieces()), size_bytes):
        restoring.feed(piece)

    assert restoring.finish().snapshot() == snapshot


def test_a_snapshot_is_made_in_pieces_that_take_a_moment_each() -> None:
    store = a_store([a_transaction(*(a_put(f"kv/{n}/{m}", b"x" * 1_000) for m in range(100))) for n in range(20)])
    store.apply(30, a_transaction(*(a_put(f"small/{n}", b"") for n in range(1_500))))

    sizes = [len(piece) for piece in store.view().pieces()]

    assert sum(sizes) == len(store.snapshot())
    assert max(sizes) < PIECE_SIZE_BYTES + 20_000
    assert len(sizes) >= 10


def test_a_snapshot_of_the_first_format_is_still_read() -> None:
    store = a_store([a_transaction(a_put("a"), a_put("b"), request=RequestId("alice", 1))])
    objects = [(found.key, found.value, 1, 1) for found in store.scan("")]

    restored = Store.restore(packed((1, 1, 1, objects, [("alice", 1, (True, 1, [], False))])))

    assert restored.snapshot() == store.snapshot()
    assert restored.state_hash() == store.state_hash()


@given(st.lists(TRANSACTIONS, max_size=25))
def test_the_hash_kept_up_to_date_is_the_one_that_is_computed_anew(transactions: list[Transaction]) -> None:
    store = a_store(transactions)

    assert Store.restore(store.snapshot()).state_hash() == store.state_hash()
    assert store.size_bytes == sum(object_size_bytes(found.key, found.value) for found in store.scan(""))


@pytest.mark.parametrize(
    "other",
    [
        [a_transaction(a_put(value=b"2"))],
        [a_transaction(a_put("tasks/b", b"1"))],
        [a_transaction(a_put("tasks/", b"a1"))],
        [a_transaction(a_put(value=b"1"), request=RequestId("alice", 1))],
        [a_transaction(a_put(value=b"1")), a_transaction(Delete("tasks/a")), a_transaction(a_put(value=b"1"))],
        [a_transaction(a_put(value=b"1")), a_transaction(a_put("x")), a_transaction(Delete("x"))],
    ],
    ids=["value", "key", "where the key ends", "request", "revisions", "revision of the store"],
)
def test_stores_that_differ_in_anything_agreed_have_different_hashes(other: list[Transaction]) -> None:
    assert a_store(other).state_hash() != a_store([a_transaction(a_put(value=b"1"))]).state_hash()


def packed(*values: object) -> bytes:
    return b"".join(msgpack.packb(value) for value in values)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"nonsense",
        packed((1, 2)),
        packed((9, 0, 0, [], [])),
        packed((2, 1, 1, 2, 0), [("a", b"", 1, 1)]),
        packed((2, 1, 1, 1, 0), [("a", b"", 1, 1), ("b", b"", 1, 1)]),
        packed((2, 1, 1, 2, 0), [("b", b"", 1, 1), ("a", b"", 1, 1)]),
        packed((2, 1, 1, 1, 0), [("a", "text", 1, 1)]),
        packed((2, 1, 1, 1, 0), [(7, b"", 1, 1)]),
        packed((2, 1, 1, 0, 1), [("c", 1, "no result")]),
    ],
    ids=[
        "nothing",
        "no msgpack",
        "text",
        "no fields",
        "newer",
        "object missing",
        "object too many",
        "out of order",
        "no bytes",
        "no key",
        "no result",
    ],
)
def test_foreign_bytes_are_refused_with_a_typed_error(data: bytes) -> None:
    with pytest.raises(UnreadableSnapshot):
        Store.restore(data)
