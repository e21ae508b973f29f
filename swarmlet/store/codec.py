"""Transactions and their results as bytes: msgpack arrays that begin with the number of their format.

The bytes of a transaction are what the log keeps, so a format, once released, stays readable for ever.
"""

from typing import Any

import msgpack

from swarmlet.errors import SwarmletError
from swarmlet.model.transaction import Compare, Delete, Operation, Put, RequestId, Transaction
from swarmlet.store.objects import TransactionResult

FORMAT = 1


class UndecodableTransaction(SwarmletError):
    """Bytes that are no transaction, or no result, of a format that this version knows."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"these bytes are no {what} this version can read: {problem}")
        self.what = what
        self.problem = problem


def encode_transaction(transaction: Transaction) -> bytes:
    request = transaction.request
    packed: bytes = msgpack.packb(
        (
            FORMAT,
            [(compare.key, compare.revision) for compare in transaction.compares],
            [_plain_operation(operation) for operation in transaction.operations],
            None if request is None else (request.client, request.sequence),
            transaction.reason,
        ),
        use_bin_type=True,
        unicode_errors="replace",  # a reason may quote anybody's words; keys were checked before
    )
    return packed


def decode_transaction(data: bytes) -> Transaction:
    """The inverse of `encode_transaction`; raises `UndecodableTransaction`."""
    try:
        compares, operations, request, reason = _fields(data, "transaction")
        return Transaction(
            compares=_compares(compares),
            operations=tuple(_operation(*operation) for operation in operations),
            request=None if request is None else RequestId(_text(request[0]), _number(request[1])),
            reason=_text(reason),
        )
    except (ValueError, TypeError, IndexError) as error:
        raise UndecodableTransaction("transaction", str(error)) from error


def encode_result(result: TransactionResult) -> bytes:
    packed: bytes = msgpack.packb((FORMAT, *plain_result(result)), use_bin_type=True)
    return packed


def decode_result(data: bytes) -> TransactionResult:
    """The inverse of `encode_result`; raises `UndecodableTransaction`."""
    try:
        return result_of(_fields(data, "transaction result"))
    except (ValueError, TypeError, IndexError) as error:
        raise UndecodableTransaction("transaction result", str(error)) from error


def plain_result(result: TransactionResult) -> tuple[bool, int, list[tuple[str, int]], bool]:
    failed = [(compare.key, compare.revision) for compare in result.failed]
    return (result.succeeded, result.revision, failed, result.duplicate)


def result_of(plain: Any) -> TransactionResult:
    """The inverse of `plain_result`; raises `ValueError` or `TypeError` on anything else."""
    succeeded, revision, failed, duplicate = plain
    return TransactionResult(bool(succeeded), _number(revision), _compares(failed), bool(duplicate))


def _fields(data: bytes, what: str) -> Any:
    try:
        version, *fields = msgpack.unpackb(data)
    except (msgpack.UnpackException, ValueError, TypeError) as error:
        raise UndecodableTransaction(what, str(error) or type(error).__name__) from error
    if version != FORMAT:
        raise UndecodableTransaction(what, f"its format is {version!r}, this version knows {FORMAT}")
    return fields


def _plain_operation(operation: Operation) -> tuple[str, bytes] | tuple[str]:
    match operation:
        case Put(key, value):
            return (key, value)
        case Delete(key):
            return (key,)


def _operation(key: Any, value: Any = None) -> Operation:
    if value is None:
        return Delete(_text(key))
    if not isinstance(value, bytes):
        raise TypeError(f"the value of {key!r} is {type(value).__name__}, not bytes")
    return Put(_text(key), value)


def _compares(plain: Any) -> tuple[Compare, ...]:
    return tuple(Compare(_text(key), _number(revision)) for key, revision in plain)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    return value
