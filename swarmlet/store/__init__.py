"""The replicated state machine: objects under keys, one revision counter, compare-and-swap transactions, changes.

Pure and deterministic: replicas that apply the same transactions at the same log indexes hold the same bytes.
The shape is etcd's (keys, revisions, transactions, compaction) and that of Kubernetes' API server.
"""

from swarmlet.store.codec import (
    UndecodableTransaction,
    decode_result,
    decode_transaction,
    encode_result,
    encode_transaction,
)
from swarmlet.store.history import Compacted
from swarmlet.store.limits import (
    InvalidKey,
    InvalidRequestId,
    ObjectTooLarge,
    TooManyCompares,
    TooManyOperations,
    TransactionRefused,
    TransactionTooLarge,
    check_transaction,
)
from swarmlet.store.objects import Change, StoredObject, TransactionResult
from swarmlet.store.room import STORE_SIZE_BYTES_MAX, Room, StoreFull
from swarmlet.store.snapshot import UnreadableSnapshot
from swarmlet.store.store import Restoring, Store, StoreView

__all__ = [
    "STORE_SIZE_BYTES_MAX",
    "Change",
    "Compacted",
    "InvalidKey",
    "InvalidRequestId",
    "ObjectTooLarge",
    "Restoring",
    "Room",
    "Store",
    "StoreFull",
    "StoreView",
    "StoredObject",
    "TooManyCompares",
    "TooManyOperations",
    "TransactionRefused",
    "TransactionResult",
    "TransactionTooLarge",
    "UndecodableTransaction",
    "UnreadableSnapshot",
    "check_transaction",
    "decode_result",
    "decode_transaction",
    "encode_result",
    "encode_transaction",
]
