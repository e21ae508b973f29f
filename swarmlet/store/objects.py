"""What the store holds and what it answers: small values, never changed after they were made."""

from dataclasses import dataclass

from swarmlet.model.transaction import Compare

OBJECT_OVERHEAD_BYTES = 200
"""What an object costs beside its key and value, roughly: the entries about it in the store's tables."""


def object_size_bytes(key: str, value: bytes) -> int:
    """What an object counts for in the size of a store."""
    return len(key) + len(value) + OBJECT_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    value: bytes
    created_revision: int
    """Revision of the transaction that made it; a deleted and rewritten object counts as new."""
    modified_revision: int
    """Revision of the last transaction that wrote it: what a `Compare` must name."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction did to one key. All changes of a transaction carry its revision."""

    revision: int
    key: str
    value: bytes | None
    """None: the object was deleted."""
    reason: str


@dataclass(frozen=True, slots=True)
class TransactionResult:
    succeeded: bool
    """All comparisons held, and the operations were carried out."""
    revision: int
    """The revision it made; the store's own, where it changed nothing."""
    failed: tuple[Compare, ...] = ()
    """Comparisons that did not hold, at most the first `FAILED_MAX`; never empty where one did not."""
    duplicate: bool = False
    """The request had been applied before: this is what it brought then, and nothing was done now."""

    @property
    def superseded(self) -> bool:
        """A repeated request that came after a later one of its client: its own outcome is no longer known."""
        return self.duplicate and not self.succeeded and not self.failed


FAILED_MAX = 16
"""Enough to say why; results are remembered for duplicates, so they have to stay small."""
