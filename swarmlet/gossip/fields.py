"""Readers of single decoded fields: each returns a value of the right type within its limit or raises `Malformed`."""

from functools import lru_cache
from ipaddress import ip_address
from typing import Any

import msgpack

from swarmlet.gossip.errors import Malformed
from swarmlet.gossip.settings import (
    NAME_LENGTH_MAX,
    NODE_ID_LENGTH_MAX,
    RECORD_KEY_BYTES_MAX,
    RECORD_VALUE_BYTES_MAX,
)
from swarmlet.gossip.versions import VersionRange
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address

NUMBER_MAX = (1 << 63) - 1
FINGERPRINT_MAX = (1 << 64) - 1

Fields = list[Any]
"""As msgpack hands them over: nothing about them is known yet."""


def unpacked(payload: bytes) -> Fields:
    try:
        plain = msgpack.unpackb(payload, raw=False, use_list=True, strict_map_key=True)
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException) as error:
        raise Malformed(f"not msgpack: {type(error).__name__}") from error
    return listed(plain)


def listed(plain: object, length: int | None = None) -> Fields:
    if type(plain) is not list or (length is not None and len(plain) != length):
        raise Malformed("not a list of the right length")
    return plain


def number(plain: object, limit: int = NUMBER_MAX) -> int:
    if type(plain) is not int or not 0 <= plain <= limit:
        raise Malformed("not a number in range")
    return plain


def positive(plain: object) -> int:
    found = number(plain)
    if found == 0:
        raise Malformed("not a number above zero")
    return found


def versions(lowest: object, highest: object) -> VersionRange:
    return VersionRange(number(lowest), number(highest))


def seconds(plain: object) -> float:
    if type(plain) not in (int, float) or not 0.0 <= plain < 1e12:  # type: ignore[operator]  # a number by now
        raise Malformed("not a duration")
    return float(plain)  # type: ignore[arg-type]  # as above


def flag(plain: object) -> bool:
    if type(plain) is not bool:
        raise Malformed("not a flag")
    return plain


def text(plain: object, length_max: int) -> str:
    if type(plain) is not str or not 1 <= len(plain) <= length_max:
        raise Malformed("not a text of the right length")
    return plain


def node_id(plain: object) -> NodeId:
    return NodeId(text(plain, NODE_ID_LENGTH_MAX))


def name(plain: object) -> str:
    return text(plain, NAME_LENGTH_MAX)


def address(host: object, port: object) -> Address:
    if type(host) is not str or not is_ip_address(host):
        raise Malformed("not an IP address")
    found = number(port, 65535)
    if found == 0:
        raise Malformed("not a port")
    return Address(host, found)


@lru_cache(maxsize=4096)
def is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def record_key(plain: object) -> str:
    key = text(plain, RECORD_KEY_BYTES_MAX)
    if len(key.encode()) > RECORD_KEY_BYTES_MAX:
        raise Malformed("not a record key")
    return key


def record_value(plain: object) -> bytes | None:
    if plain is None:
        return None
    if type(plain) is not bytes or len(plain) > RECORD_VALUE_BYTES_MAX:
        raise Malformed("not a record value")
    return plain
