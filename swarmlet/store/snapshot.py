"""A store as bytes: what compacts the log, what a new learner is sent, what a backup keeps.

Equal stores give equal bytes: objects are sorted by key, clients by how long they were silent. The history of
changes is left out; a restored store can tell nothing of what came before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgpack

from swarmlet.errors import SwarmletError
from swarmlet.store.codec import plain_result, result_of
from swarmlet.store.objects import StoredObject, TransactionResult

FORMAT = 1


class UnreadableSnapshot(SwarmletError):
    def __init__(self, problem: str) -> None:
        super().__init__(f"these bytes are no snapshot of a store this version can read: {problem}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    applied_index: int
    revision: int
    objects: Iterable[StoredObject]
    """Sorted by key."""
    clients: Iterable[tuple[str, int, TransactionResult]]
    """(client, last sequence, its result), the longest silent first."""

    def encode(self) -> bytes:
        packed: bytes = msgpack.packb(
            (
                FORMAT,
                self.applied_index,
                self.revision,
                [(found.key, found.value, found.created_revision, found.modified_revision) for found in self.objects],
                [(client, sequence, plain_result(result)) for client, sequence, result in self.clients],
            ),
            use_bin_type=True,
        )
        return packed

    @classmethod
    def decode(cls, data: bytes) -> "StoreSnapshot":
        """The inverse of `encode`; raises `UnreadableSnapshot`."""
        try:
            version, *fields = msgpack.unpackb(data)
            if version != FORMAT:
                raise UnreadableSnapshot(f"its format is {version!r}, this version knows {FORMAT}")
            applied_index, revision, objects, clients = fields
            return cls(
                applied_index=applied_index,
                revision=revision,
                objects=[StoredObject(*plain) for plain in objects],
                clients=[(client, sequence, result_of(plain)) for client, sequence, plain in clients],
            )
        except (msgpack.UnpackException, ValueError, TypeError) as error:
            raise UnreadableSnapshot(str(error) or type(error).__name__) from error
