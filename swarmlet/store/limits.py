"""What may enter the log. Checked where a transaction is made and again by the leader, before it is proposed.

`Store.apply` does not check again: what is in the log has to be applied alike by every replica, whatever limits
its version of the agent has.
"""

from swarmlet.errors import SwarmletError
from swarmlet.model.transaction import Put, Transaction
from swarmlet.store.codec import encode_transaction

OBJECT_SIZE_BYTES_MAX = 1024 * 1024
"""An object is a declaration, not a file; etcd draws the line near (1.5 MiB a request)."""
TRANSACTION_SIZE_BYTES_MAX = 4 * 1024 * 1024
"""Encoded; a log entry has to fit well into one frame (8 MiB) between peers."""
OPERATIONS_MAX = 2_000
COMPARES_MAX = 10_000
"""A decision may rest on more objects than it writes."""
KEY_SIZE_BYTES_MAX = 512
CLIENT_SIZE_BYTES_MAX = 128
"""Of a request's client id: ten thousand of them are kept in every replica."""


class TransactionRefused(SwarmletError):
    """It breaks a limit of the store and never enters the log; trying again does not help."""


class InvalidKey(TransactionRefused):
    def __init__(self, key: str) -> None:
        shown = repr(key if len(key) <= 60 else key[:60] + "…")
        super().__init__(f"key {shown} is refused: a key has 1 to {KEY_SIZE_BYTES_MAX} bytes of UTF-8")
        self.key = key


class InvalidRequestId(TransactionRefused):
    def __init__(self, client: str, sequence: int) -> None:
        super().__init__(
            f"request id of sequence {sequence} is refused: a client has 1 to {CLIENT_SIZE_BYTES_MAX} bytes of UTF-8, "
            "a sequence 0 to 2^63-1"
        )
        self.client = client
        self.sequence = sequence


class ObjectTooLarge(TransactionRefused):
    def __init__(self, key: str, size_bytes: int) -> None:
        super().__init__(f"object {key} has {size_bytes} bytes; {OBJECT_SIZE_BYTES_MAX} are allowed")
        self.key = key
        self.size_bytes = size_bytes
        self.size_bytes_max = OBJECT_SIZE_BYTES_MAX


class TooManyOperations(TransactionRefused):
    def __init__(self, count: int) -> None:
        super().__init__(f"the transaction has {count} operations; {OPERATIONS_MAX} are allowed: split it")
        self.count = count
        self.count_max = OPERATIONS_MAX


class TooManyCompares(TransactionRefused):
    def __init__(self, count: int) -> None:
        super().__init__(f"the transaction has {count} comparisons; {COMPARES_MAX} are allowed: split it")
        self.count = count
        self.count_max = COMPARES_MAX


class TransactionTooLarge(TransactionRefused):
    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the transaction has {size_bytes} bytes; {TRANSACTION_SIZE_BYTES_MAX} are allowed: split it")
        self.size_bytes = size_bytes
        self.size_bytes_max = TRANSACTION_SIZE_BYTES_MAX


def check_transaction(transaction: Transaction, encoded_bytes: int | None = None) -> None:
    """Raises a `TransactionRefused` for the first limit that the transaction breaks.

    `encoded_bytes` is the size of its encoding, from whoever has it; else it is encoded to know.
    """
    if len(transaction.operations) > OPERATIONS_MAX:
        raise TooManyOperations(len(transaction.operations))
    if len(transaction.compares) > COMPARES_MAX:
        raise TooManyCompares(len(transaction.compares))
    if (request := transaction.request) is not None and not (
        _fits(request.client, CLIENT_SIZE_BYTES_MAX) and 0 <= request.sequence < 2**63
    ):
        raise InvalidRequestId(request.client, request.sequence)
    for step in (*transaction.compares, *transaction.operations):
        if not _fits(step.key, KEY_SIZE_BYTES_MAX):
            raise InvalidKey(step.key)
        if isinstance(step, Put) and len(step.value) > OBJECT_SIZE_BYTES_MAX:
            raise ObjectTooLarge(step.key, len(step.value))
    size_bytes = len(encode_transaction(transaction)) if encoded_bytes is None else encoded_bytes
    if size_bytes > TRANSACTION_SIZE_BYTES_MAX:
        raise TransactionTooLarge(size_bytes)


def _fits(text: str, size_bytes_max: int) -> bool:
    """Whether it is text that can be written down (no lone surrogates), not empty and not too long."""
    try:
        return 0 < len(text.encode()) <= size_bytes_max
    except UnicodeEncodeError:
        return False
