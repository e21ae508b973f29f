import pytest
from store_builders import a_put, a_transaction

from swarmlet.model.transaction import Compare, Delete, RequestId
from swarmlet.store import (
    InvalidKey,
    InvalidRequestId,
    ObjectTooLarge,
    TooManyCompares,
    TooManyOperations,
    TransactionTooLarge,
    check_transaction,
)
from swarmlet.store.limits import COMPARES_MAX, OBJECT_SIZE_BYTES_MAX, OPERATIONS_MAX


def test_a_transaction_at_its_limits_is_accepted() -> None:
    check_transaction(a_transaction(*(a_put(f"k{n}") for n in range(OPERATIONS_MAX))))
    check_transaction(a_transaction(a_put(value=b"x" * OBJECT_SIZE_BYTES_MAX)))
    check_transaction(a_transaction(Delete("é" * 256), request=RequestId("alice", 0), reason="lone \ud800 surrogate"))


def test_an_object_that_is_too_large_is_named() -> None:
    with pytest.raises(ObjectTooLarge, match="object tasks/big has 1048577 bytes; 1048576 are allowed"):
        check_transaction(a_transaction(a_put("tasks/big", b"x" * (OBJECT_SIZE_BYTES_MAX + 1))))


def test_a_transaction_that_is_too_large_as_a_whole_is_refused() -> None:
    with pytest.raises(TransactionTooLarge):
        check_transaction(a_transaction(*(a_put(f"k{n}", b"x" * OBJECT_SIZE_BYTES_MAX) for n in range(4))))


def test_too_many_operations_or_comparisons_are_refused() -> None:
    with pytest.raises(TooManyOperations):
        check_transaction(a_transaction(*(Delete(f"k{n}") for n in range(OPERATIONS_MAX + 1))))
    with pytest.raises(TooManyCompares):
        check_transaction(a_transaction(compares=(Compare("k", 0),) * (COMPARES_MAX + 1)))


@pytest.mark.parametrize("key", ["", "k" * 513, "é" * 257, "\ud800"])
def test_a_key_that_is_empty_too_long_or_no_text_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        check_transaction(a_transaction(Delete(key)))
    with pytest.raises(InvalidKey):
        check_transaction(a_transaction(compares=(Compare(key, 0),)))


@pytest.mark.parametrize("request_id", [RequestId("", 1), RequestId("c" * 129, 1), RequestId("c", -1)])
def test_a_request_id_out_of_bounds_is_refused(request_id: RequestId) -> None:
    with pytest.raises(InvalidRequestId):
        check_transaction(a_transaction(a_put(), request=request_id))
