import pytest
from store_builders import a_put, a_transaction

from swarmlet.model.transaction import Compare, Delete, RequestId
from swarmlet.store import Change, Store, StoredObject, TransactionResult


def test_a_new_store_is_empty_at_revision_zero() -> None:
    store = Store()

    assert (store.revision, store.applied_index) == (0, 0)
    assert store.scan("") == []
    assert store.get("tasks/a") is None


def test_all_operations_of_a_transaction_share_one_new_revision() -> None:
    store = Store()

    result = store.apply(3, a_transaction(a_put("tasks/a"), a_put("tasks/b")))

    assert result == TransactionResult(succeeded=True, revision=1)
    assert store.get("tasks/b") == StoredObject("tasks/b", b"one", 1, 1)
    assert store.applied_index == 3


def test_rewriting_keeps_the_created_revision_and_deleting_ends_it() -> None:
    store = Store()
    store.apply(1, a_transaction(a_put(value=b"one")))

    store.apply(2, a_transaction(a_put(value=b"two")))
    rewritten = store.get("tasks/a")
    store.apply(3, a_transaction(Delete("tasks/a")))
    store.apply(4, a_transaction(a_put(value=b"three")))

    assert rewritten == StoredObject("tasks/a", b"two", 1, 2)
    assert store.get("tasks/a") == StoredObject("tasks/a", b"three", 4, 4)


def test_writing_the_same_value_again_is_a_change() -> None:
    store = Store()
    store.apply(1, a_transaction(a_put()))

    assert store.apply(2, a_transaction(a_put())).revision == 2


def test_deleting_what_is_not_there_is_no_change() -> None:
    store = Store()

    result = store.apply(1, a_transaction(Delete("tasks/a")))

    assert result == TransactionResult(succeeded=True, revision=0)
    assert store.changes_since(0) == []


def test_a_failed_comparison_leaves_everything_as_it_was_and_is_named() -> None:
    store = Store()
    store.apply(1, a_transaction(a_put()))
    stale = Compare("tasks/a", 0)

    result = store.apply(2, a_transaction(a_put(value=b"two"), compares=(Compare("tasks/b", 0), stale)))

    assert result == TransactionResult(succeeded=False, revision=1, failed=(stale,))
    assert store.get("tasks/a") == StoredObject("tasks/a", b"one", 1, 1)


def test_a_comparison_with_revision_zero_means_that_the_object_must_not_exist() -> None:
    store = Store()
    create = a_transaction(a_put(), compares=(Compare("tasks/a", 0),))

    assert store.apply(1, create).succeeded
    assert not store.apply(2, create).succeeded


def test_the_last_operation_on_a_key_counts_and_makes_one_change() -> None:
    store = Store()

    store.apply(1, a_transaction(a_put(value=b"one"), Delete("tasks/a"), a_put(value=b"two"), reason="twice"))

    assert store.changes_since(0) == [Change(1, "tasks/a", b"two", "twice")]


def test_a_scan_is_sorted_and_stops_at_the_end_of_its_prefix() -> None:
    store = Store()
    store.apply(1, a_transaction(*(a_put(key) for key in ("tasks/c", "services/x", "tasks/a", "tasks0", "task"))))

    assert [found.key for found in store.scan("tasks/")] == ["tasks/a", "tasks/c"]


def test_an_index_that_was_applied_already_is_a_broken_invariant() -> None:
    store = Store()
    store.apply(5, a_transaction(a_put()))

    with pytest.raises(AssertionError):
        store.apply(5, a_transaction(a_put()))


def test_a_retried_request_is_applied_once_and_answered_as_before() -> None:
    store = Store()
    request = RequestId("alice", 1)
    first = store.apply(1, a_transaction(a_put(value=b"one"), request=request))
    store.apply(2, a_transaction(a_put(value=b"two")))

    again = store.apply(3, a_transaction(a_put(value=b"one"), request=request))

    assert (again.succeeded, again.revision, again.duplicate) == (True, first.revision, True)
    assert not again.superseded
    assert store.get("tasks/a") == StoredObject("tasks/a", b"two", 1, 2)
    assert store.applied_index == 3


def test_a_retry_of_a_refused_request_stays_refused_even_if_it_would_succeed_now() -> None:
    store = Store()
    request = RequestId("alice", 1)
    needs_b = a_transaction(a_put(), compares=(Compare("tasks/b", 1),), request=request)
    store.apply(1, needs_b)
    store.apply(2, a_transaction(a_put("tasks/b")))

    again = store.apply(3, needs_b)

    assert (again.succeeded, again.duplicate, again.failed) == (False, True, needs_b.compares)


def test_a_request_that_comes_after_a_later_one_of_its_client_is_superseded() -> None:
    store = Store()
    store.apply(1, a_transaction(a_put(value=b"new"), request=RequestId("alice", 2)))

    late = store.apply(2, a_transaction(a_put(value=b"old"), request=RequestId("alice", 1)))

    assert late.superseded
    assert store.get("tasks/a") == StoredObject("tasks/a", b"new", 1, 1)
