"""Messages as bytes: one msgpack array of the version, the message's number, and its fields in their order.

A number, once given, is never given to another message. Bytes from elsewhere are checked field by field.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import msgpack

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.raft.durable import Entry, EntryKind, Membership
from swarmlet.raft.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    ChunkAccepted,
    CommitAdvanced,
    Heartbeat,
    HeartbeatAnswer,
    InstallSnapshot,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    StaleTerm,
    TimeoutNow,
    VoteRequest,
    VoteResponse,
)

VERSION = 1
INDEX_MAX = (1 << 63) - 1
"""What the log on disk can number; a higher one is refused here, before it could stop the storage."""

NUMBERS: dict[type[Message], int] = {
    PreVoteRequest: 1,
    PreVoteResponse: 2,
    VoteRequest: 3,
    VoteResponse: 4,
    AppendEntries: 5,
    AppendAccepted: 6,
    AppendRejected: 7,
    Heartbeat: 8,
    HeartbeatAnswer: 9,
    CommitAdvanced: 10,
    InstallSnapshot: 11,
    ChunkAccepted: 12,
    TimeoutNow: 13,
    StaleTerm: 14,
}


class MessageInvalid(SwarmletError):
    """Bytes that are no message of this version."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not a Raft message of version {VERSION}: {reason}")
        self.reason = reason


def encode_message(message: Message) -> bytes:
    kind = type(message)
    plain: list[Any] = [VERSION, NUMBERS[kind]]
    for name, codec in _FIELDS[kind]:
        value = getattr(message, name)
        plain.append(codec.to_plain(value) if codec.to_plain else value)
    packed: bytes = msgpack.packb(plain)
    return packed


def decode_message(data: bytes) -> Message:
    """Raises `MessageInvalid`."""
    try:
        version, number, *values = msgpack.unpackb(data)
        if version != VERSION:
            raise MessageInvalid(f"version {version}")
        kind = _KINDS[number]
        expected = _FIELDS[kind]
        if len(values) != len(expected):
            raise MessageInvalid(f"{kind.__name__} has {len(expected)} fields, not {len(values)}")
        decoded = [codec.from_plain(value) for (_, codec), value in zip(expected, values, strict=True)]
    except (msgpack.UnpackException, ValueError, TypeError, KeyError) as error:
        raise MessageInvalid(f"{type(error).__name__}: {error}") from error
    return kind(*decoded)


def _index(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= INDEX_MAX:
        raise ValueError(f"{value!r} is no index or term")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is no flag")
    return value


def _data(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("data has to be bytes")
    return value


def _entries_to_plain(entries: tuple[Entry, ...]) -> list[Any]:
    """Their indices follow each other, so the first one says them all."""
    return [entries[0].index if entries else 0, [(entry.term, int(entry.kind), entry.data) for entry in entries]]


def _entries(plain: Any) -> tuple[Entry, ...]:
    first, rows = plain
    return tuple(
        Entry(_index(_index(first) + offset), _index(term), EntryKind(kind), _data(data))
        for offset, (term, kind, data) in enumerate(rows)
    )


def _membership_to_plain(membership: Membership) -> list[list[str]]:
    return [sorted(group) for group in (membership.voters, membership.learners, membership.outgoing)]


def _membership(plain: Any) -> Membership:
    voters, learners, outgoing = (frozenset(map(_node, group)) for group in plain)
    return Membership(voters, learners, outgoing)


def _node(value: Any) -> NodeId:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no node id")
    return NodeId(value)


class _Codec:
    """How the fields of one type travel."""

    __slots__ = ("from_plain", "to_plain")

    def __init__(self, from_plain: Callable[[Any], Any], to_plain: Callable[[Any], Any] | None = None) -> None:
        self.from_plain = from_plain
        self.to_plain = to_plain


_CODECS: dict[Any, _Codec] = {
    int: _Codec(_index),
    bool: _Codec(_flag),
    bytes: _Codec(_data),
    tuple[Entry, ...]: _Codec(_entries, _entries_to_plain),
    Membership: _Codec(_membership, _membership_to_plain),
}
_KINDS: dict[int, type[Message]] = {number: kind for kind, number in NUMBERS.items()}
_FIELDS: dict[type[Message], tuple[tuple[str, _Codec], ...]] = {
    kind: tuple((field.name, _CODECS[field.type]) for field in fields(kind)) for kind in NUMBERS
}
