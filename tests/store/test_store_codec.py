import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_builders import COMPARES, TRANSACTIONS

from swarmlet.model.transaction import Transaction
from swarmlet.store import (
    TransactionResult,
    UndecodableTransaction,
    decode_result,
    decode_transaction,
    encode_result,
    encode_transaction,
)

RESULTS = st.builds(
    TransactionResult, st.booleans(), st.integers(0, 2**40), st.lists(COMPARES, max_size=3).map(tuple), st.booleans()
)


@given(TRANSACTIONS)
def test_a_transaction_survives_being_encoded(transaction: Transaction) -> None:
    assert decode_transaction(encode_transaction(transaction)) == transaction


@given(RESULTS)
def test_a_result_survives_being_encoded(result: TransactionResult) -> None:
    assert decode_result(encode_result(result)) == result


@given(st.binary(max_size=60))
def test_foreign_bytes_are_refused_with_one_typed_error(data: bytes) -> None:
    for decode in (decode_transaction, decode_result):
        with pytest.raises(UndecodableTransaction):
            decode(data)


def test_a_format_of_a_newer_version_is_named() -> None:
    with pytest.raises(UndecodableTransaction, match="its format is 2, this version knows 1"):
        decode_transaction(msgpack.packb((2, "anything")))


@pytest.mark.parametrize(
    "fields",
    [([("k",)], [], None, ""), ([], [("k", "text")], None, ""), ([], [(1,)], None, ""), ([], [], ("c", True), "")],
)
def test_fields_of_a_wrong_kind_are_refused(fields: tuple[object, ...]) -> None:
    with pytest.raises(UndecodableTransaction):
        decode_transaction(msgpack.packb((1, *fields)))
