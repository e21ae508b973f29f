"""The frames of a peer connection: four bytes of length (big endian), then one msgpack array.

Rules:
- A connection's first frame is a hello; it says what the connection is for: `["rpc", 1]` or `["relay", 1, header]`.
- After an rpc hello, requests flow from the side that dialled and answers back; both are the arrays of `Kind`.
- A frame is at most 8 MiB. Longer ones are not sent; when a peer announces one, its connection is closed.
- What a peer sends is checked before use: a shape that isn't in `parse` is a `ProtocolViolation`.
"""

import struct
from enum import IntEnum
from typing import Any

import msgpack

from swarmlet.transport.errors import FrameTooLarge, ProtocolViolation

PROTOCOL_VERSION = 1
FRAME_SIZE_BYTES_MAX = 8 << 20
HELLO_SIZE_BYTES_MAX = 64 << 10
"""A stranger has proven its membership by then, yet nothing legitimate is longer."""
LENGTH = struct.Struct("!I")

Message = tuple[Any, ...]


class Kind(IntEnum):
    """The first item of an rpc frame, and the items after it."""

    NOTIFY = 0
    """method, body"""
    CALL = 1
    """id, method, body"""
    REPLY = 2
    """id, body"""
    ERROR = 3
    """id, code, message: ends a call or a stream"""
    STREAM = 4
    """id, method, body"""
    ITEM = 5
    """id, body"""
    END = 6
    """id: no more items"""
    CANCEL = 7
    """id: the asker lost interest in a call or a stream"""
    CREDIT = 8
    """id, bytes: the asker has consumed so much of a stream and can take as much again"""


SHAPES: dict[int, tuple[type, ...]] = {
    Kind.NOTIFY: (int, str, bytes),
    Kind.CALL: (int, int, str, bytes),
    Kind.REPLY: (int, int, bytes),
    Kind.ERROR: (int, int, str, str),
    Kind.STREAM: (int, int, str, bytes),
    Kind.ITEM: (int, int, bytes),
    Kind.END: (int, int),
    Kind.CANCEL: (int, int),
    Kind.CREDIT: (int, int, int),
}


def encode_frame(*message: object) -> bytes:
    """Raises `FrameTooLarge`."""
    packed: bytes = msgpack.packb(message, use_bin_type=True)
    if len(packed) > FRAME_SIZE_BYTES_MAX:
        raise FrameTooLarge(len(packed), FRAME_SIZE_BYTES_MAX)
    return LENGTH.pack(len(packed)) + packed


def decode_message(payload: bytes) -> Message:
    try:
        message = msgpack.unpackb(payload, use_list=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise ProtocolViolation(f"a frame that is not msgpack: {error}") from error
    if not isinstance(message, tuple):
        raise ProtocolViolation("a frame that is not an array")
    return message


def parse_rpc(payload: bytes) -> Message:
    """An rpc message whose items have the types that its kind demands."""
    message = decode_message(payload)
    shape = SHAPES.get(message[0]) if message and isinstance(message[0], int) else None
    if shape is None or tuple(map(type, message)) != shape:
        raise ProtocolViolation("an rpc frame of unknown shape")
    return message


class FrameDecoder:
    """Cuts a byte stream into frame payloads. Holds at most one incomplete frame."""

    __slots__ = ("_limit_bytes", "_pending")

    def __init__(self, limit_bytes: int = FRAME_SIZE_BYTES_MAX) -> None:
        self._limit_bytes = limit_bytes
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads completed by `data`. Raises `ProtocolViolation` for a frame over the limit."""
        source: bytes | bytearray = data
        if self._pending:
            self._pending += data
            source = self._pending
        payloads, position = self._cut(source)
        if source is self._pending:
            del self._pending[:position]
        else:
            self._pending += data[position:]
        return payloads

    def feed_one(self, data: bytes) -> tuple[bytes | None, bytes]:
        """At most one payload, and what follows it: for a frame after which the stream's meaning changes."""
        self._pending += data
        if len(self._pending) < LENGTH.size:
            return None, b""
        end = LENGTH.size + self._length(self._pending, 0)
        if len(self._pending) < end:
            return None, b""
        payload, rest = bytes(self._pending[LENGTH.size : end]), bytes(self._pending[end:])
        self._pending.clear()
        return payload, rest

    def _cut(self, source: bytes | bytearray) -> tuple[list[bytes], int]:
        payloads: list[bytes] = []
        position, available = 0, len(source)
        while available - position >= LENGTH.size:
            end = position + LENGTH.size + self._length(source, position)
            if end > available:
                break
            payloads.append(bytes(source[position + LENGTH.size : end]))
            position = end
        return payloads, position

    def _length(self, source: bytes | bytearray, position: int) -> int:
        length: int = LENGTH.unpack_from(source, position)[0]
        if length > self._limit_bytes:
            raise ProtocolViolation(f"a frame of {length} bytes is over the limit of {self._limit_bytes}")
        return length
