import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_builders import TRANSACTIONS, a_put, a_transaction

from swarmlet.model.transaction import RequestId, Transaction
from swarmlet.store import Compacted, Store, UnreadableSnapshot
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


def test_stores_that_differ_have_different_hashes() -> None:
    one, other = a_store([a_transaction(a_put(value=b"1"))]), a_store([a_transaction(a_put(value=b"2"))])

    assert one.state_hash() != other.state_hash()


def test_the_client_that_was_silent_for_longest_is_forgotten_first() -> None:
    table = RequestTable(clients_max=2)
    store = Store()
    for client, sequence in (("alice", 1), ("bob", 1), ("alice", 2), ("carol", 1)):
        table.remember(RequestId(client, sequence), store.apply(store.applied_index + 1, a_transaction(a_put())))

    assert [(client, sequence) for client, sequence, _ in table] == [("alice", 2), ("carol", 1)]
    assert table.earlier_result(RequestId("bob", 1), 4) is None


@pytest.mark.parametrize("data", [b"", b"\xc1", b"nonsense", msgpack.packb((1, 2)), msgpack.packb((9, 0, 0, [], []))])
def test_foreign_bytes_are_refused_with_a_typed_error(data: bytes) -> None:
    with pytest.raises(UnreadableSnapshot):
        Store.restore(data)
