"""Two versions of the protocol: the present one, and one that a later release might bring.

The later one says the same with named fields, which no server of the present version can read.
"""

from dataclasses import fields

import msgpack

from swarmlet.raft import Message, MessageInvalid, Wire
from swarmlet.raft.codec import NUMBERS, VERSION, decode_message, encode_message
from swarmlet.raft.wire import DIALECTS, Dialect

LATER = VERSION + 1
NAMES = {number: [field.name for field in fields(kind)] for kind, number in NUMBERS.items()}


def encode_named(message: Message) -> bytes:
    _, number, *values = msgpack.unpackb(encode_message(message))
    packed: bytes = msgpack.packb({"kind": number, **dict(zip(NAMES[number], values, strict=True))})
    return packed


def decode_named(data: bytes) -> Message:
    try:
        named = msgpack.unpackb(data)
        number = named["kind"]
        values = [named[name] for name in NAMES[number]]
    except (msgpack.UnpackException, ValueError, TypeError, KeyError) as error:
        raise MessageInvalid(f"{type(error).__name__}: {error}") from error
    return decode_message(msgpack.packb([VERSION, number, *values]))


def wire_of(later: bool) -> Wire:
    """What a server of the present release speaks, or one of the later."""
    return Wire({**DIALECTS, LATER: Dialect(encode_named, decode_named)} if later else DIALECTS)
