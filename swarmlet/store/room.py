"""The limit on the store's total size, held by whoever leads before a transaction enters the log.

Rules:
- The leader alone decides, by its own setting; what is in the log is applied by everybody, whatever their limits. So
  replicas of different versions or settings can't diverge over it (etcd's quota works so too; its alarm, which is
  state of its own, would be one more thing to be cleared by hand).
- What counts is the growth: a transaction that makes the store no larger is always taken, so a full store can be
  emptied.
- Growth is set aside from the moment it is taken until it is applied. A leader that has just been elected may not have
  applied all of its log yet; so the limit may be passed by what was under way then, at most Raft's own limit on it.
"""

from swarmlet.model.transaction import Put, Transaction
from swarmlet.store.limits import TransactionRefused
from swarmlet.store.objects import object_size_bytes
from swarmlet.store.store import Store

MIB = 1024 * 1024
STORE_SIZE_BYTES_MAX = 512 * MIB
"""The default. A node's memory holds all of it twice: the objects, and the snapshot of them."""
NEARLY_FULL = 0.8
"""From this part on people are told."""


class StoreFull(TransactionRefused):
    """It would make the store larger than is allowed. Transactions that free room are still taken."""

    def __init__(self, size_bytes: int, growth_bytes: int, size_bytes_max: int) -> None:
        super().__init__(
            f"the store is full: it holds {size_bytes} bytes, this would add {growth_bytes}, and {size_bytes_max} are "
            "allowed; delete objects, or raise store.size_max on all nodes"
        )
        self.size_bytes = size_bytes
        self.growth_bytes = growth_bytes
        self.size_bytes_max = size_bytes_max


class Room:
    def __init__(self, size_bytes_max: int = STORE_SIZE_BYTES_MAX) -> None:
        self.size_bytes_max = size_bytes_max
        self._set_aside_bytes = 0

    def take(self, store: Store, transaction: Transaction) -> int:
        """Set aside what the transaction adds, to be given to `release`. Raises `StoreFull`."""
        growth_bytes = growth_of(store, transaction)
        if growth_bytes <= 0:
            return 0
        size_bytes = store.size_bytes + self._set_aside_bytes
        if size_bytes + growth_bytes > self.size_bytes_max:
            raise StoreFull(size_bytes, growth_bytes, self.size_bytes_max)
        self._set_aside_bytes += growth_bytes
        return growth_bytes

    def release(self, growth_bytes: int) -> None:
        """It is applied, or will not be."""
        self._set_aside_bytes -= growth_bytes

    def problem(self, store: Store) -> str | None:
        """For people, when there is little left."""
        if store.size_bytes < NEARLY_FULL * self.size_bytes_max:
            return None
        return (
            f"the store holds {store.size_bytes // MIB} of {self.size_bytes_max // MIB} MiB: beyond that only writes "
            "that free room are taken; delete objects, or raise store.size_max on all nodes"
        )


def growth_of(store: Store, transaction: Transaction) -> int:
    """How many bytes larger the store will be, negative if smaller; as if the comparisons held."""
    after = {
        operation.key: object_size_bytes(operation.key, operation.value) if isinstance(operation, Put) else 0
        for operation in transaction.operations
    }
    return sum(size_bytes - store.size_bytes_of(key) for key, size_bytes in after.items())
