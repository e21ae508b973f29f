"""Raft's values as bytes on disk, each with the checksum that tells later whether they are still what was written.

A checksum (CRC-32) covers a whole record with its position in it, so that a record in a wrong place is found too.
SQLite checks what it writes to its write-ahead log, but not what it reads back from the database itself.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgpack

from swarmlet.model.ids import NodeId
from swarmlet.raft import Entry, EntryKind, HardState, Membership, Snapshot

T = TypeVar("T")
Decode = Callable[[bytes], T]


def checksum(record: bytes) -> int:
    return zlib.crc32(record)


def checked(record: object, stored_checksum: object, decode: Decode[T]) -> T | None:
    """The decoded record; None when it is damaged."""
    if not isinstance(record, bytes) or checksum(record) != stored_checksum:
        return None
    try:
        return decode(record)
    except (msgpack.UnpackException, ValueError, TypeError):
        return None


def encode_entry(entry: Entry) -> bytes:
    return _packed(entry.index, entry.term, entry.kind.value, entry.data)


def decode_entry(record: bytes) -> Entry:
    index, term, kind, data = msgpack.unpackb(record)
    return Entry(index, term, EntryKind(kind), data)


def encode_hard_state(state: HardState) -> bytes:
    return _packed(state.term, state.voted_for)


def decode_hard_state(record: bytes) -> HardState:
    term, voted_for = msgpack.unpackb(record)
    return HardState(term, voted_for)


class SnapshotHeader(NamedTuple):
    """A snapshot without its data, which has records of its own, a piece each."""

    snapshot: Snapshot
    size_bytes: int | None
    """Of the pieces together; None where the data is in the header, as it was in the database's first format."""


def encode_snapshot_header(snapshot: Snapshot) -> bytes:
    members = snapshot.membership
    groups = [sorted(group) for group in (members.voters, members.learners, members.outgoing)]
    return _packed(snapshot.last_index, snapshot.last_term, groups, len(snapshot.data))


def decode_snapshot_header(record: bytes) -> SnapshotHeader:
    last_index, last_term, (voters, learners, outgoing), data = msgpack.unpackb(record)
    membership = Membership(voters=_nodes(voters), learners=_nodes(learners), outgoing=_nodes(outgoing))
    if isinstance(data, int):
        return SnapshotHeader(Snapshot(last_index, last_term, membership, b""), data)
    return SnapshotHeader(Snapshot(last_index, last_term, membership, data), None)


def piece_checksum(piece: bytes, last_index: int, position: int) -> int:
    """Covers which snapshot the piece belongs to, and where in it."""
    return zlib.crc32(piece, zlib.crc32(_packed(last_index, position)))


def _nodes(plain: list[str]) -> frozenset[NodeId]:
    return frozenset(NodeId(node) for node in plain)


def _packed(*fields: Any) -> bytes:
    packed: bytes = msgpack.packb(fields, use_bin_type=True)
    return packed
