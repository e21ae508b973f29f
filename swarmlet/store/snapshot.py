"""A store as bytes: what compacts the log, what a new learner is sent, what a backup keeps.

Rules:
- It is made and read in pieces of about `PIECE_SIZE_BYTES`, each done in a millisecond or so: whoever does it on an
  event loop lets others have a turn in between.
- Equal stores give equal bytes: objects are sorted by key, clients by how long they were silent. The history of
  changes is left out; a restored store can tell nothing of what came before it.
- A snapshot is msgpack values that follow each other: first [2, applied index, revision, objects, clients] (the last
  two are counts), then lists of objects, then lists of clients. Format 1 was one value with all of it inside.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgpack

from swarmlet.errors import SwarmletError
from swarmlet.model.pieces import PIECE_SIZE_BYTES
from swarmlet.store.codec import plain_result, result_of
from swarmlet.store.objects import StoredObject, TransactionResult

FORMAT = 2
OBJECTS_IN_PIECE_MAX = 500
"""However small they are: each costs about two microseconds to pack and twice that to read."""
CLIENTS_IN_PIECE = 500

ClientRow = tuple[str, int, TransactionResult]
"""(client, last sequence, its result)"""


class UnreadableSnapshot(SwarmletError):
    def __init__(self, problem: str) -> None:
        super().__init__(f"these bytes are no snapshot of a store this version can read: {problem}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    applied_index: int
    revision: int
    objects: int
    clients: int


def encoded(head: SnapshotHead, objects: Iterable[StoredObject], clients: Iterable[ClientRow]) -> Iterator[bytes]:
    """The pieces one by one, as they are asked for. `objects` sorted by key, `clients` the longest silent first."""
    yield _packed((FORMAT, head.applied_index, head.revision, head.objects, head.clients))
    batch: list[Any] = []
    size_bytes = 0
    for found in objects:
        batch.append((found.key, found.value, found.created_revision, found.modified_revision))
        size_bytes += len(found.value)
        if size_bytes >= PIECE_SIZE_BYTES or len(batch) >= OBJECTS_IN_PIECE_MAX:
            yield _packed(batch)
            batch, size_bytes = [], 0
    if batch:
        yield _packed(batch)
    remaining = iter(clients)
    while some := list(islice(remaining, CLIENTS_IN_PIECE)):
        yield _packed([(client, sequence, plain_result(result)) for client, sequence, result in some])


class SnapshotReader:
    """Takes the bytes in any pieces and gives back what they complete. All errors are `UnreadableSnapshot`."""

    def __init__(self) -> None:
        self.head: SnapshotHead | None = None
        self._unpacker = msgpack.Unpacker(max_buffer_size=0)
        self._objects_left = self._clients_left = 0

    def feed(self, piece: bytes) -> tuple[list[StoredObject], list[ClientRow]]:
        objects: list[StoredObject] = []
        clients: list[ClientRow] = []
        try:
            self._unpacker.feed(piece)
            for value in self._unpacker:
                self._take(value, objects, clients)
        except (msgpack.UnpackException, ValueError, TypeError) as error:
            raise UnreadableSnapshot(str(error) or type(error).__name__) from error
        return objects, clients

    def finish(self) -> SnapshotHead:
        """After the last piece."""
        if self.head is None:
            raise UnreadableSnapshot("it has no beginning")
        if self._objects_left or self._clients_left:
            raise UnreadableSnapshot(f"{self._objects_left} objects and {self._clients_left} clients are missing")
        return self.head

    def _take(self, value: Any, objects: list[StoredObject], clients: list[ClientRow]) -> None:
        if self.head is None:
            self._begin(value, objects, clients)
        elif self._objects_left:
            objects += [_object(*plain) for plain in value]
            self._objects_left -= len(value)
        else:
            clients += [(client, sequence, result_of(plain)) for client, sequence, plain in value]
            self._clients_left -= len(value)
        if self._objects_left < 0 or self._clients_left < 0:
            raise UnreadableSnapshot("it holds more than its head says")

    def _begin(self, value: Any, objects: list[StoredObject], clients: list[ClientRow]) -> None:
        version, *fields = value
        if version == FORMAT:
            self.head = SnapshotHead(*fields)
            self._objects_left, self._clients_left = self.head.objects, self.head.clients
        elif version == 1:
            applied_index, revision, all_objects, all_clients = fields
            objects += [_object(*plain) for plain in all_objects]
            clients += [(client, sequence, result_of(plain)) for client, sequence, plain in all_clients]
            self.head = SnapshotHead(applied_index, revision, len(objects), len(clients))
        else:
            raise UnreadableSnapshot(f"its format is {version!r}, this version knows 1 to {FORMAT}")


def _object(key: Any, value: Any, created_revision: Any, modified_revision: Any) -> StoredObject:
    if not (isinstance(key, str) and isinstance(value, bytes)):
        raise TypeError(f"{key!r} is no object's key, or its value is not bytes")
    if not (isinstance(created_revision, int) and isinstance(modified_revision, int)):
        raise TypeError(f"the revisions of {key!r} are no numbers")
    return StoredObject(key, value, created_revision, modified_revision)


def _packed(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed
