"""Lists of ids as the bodies of calls between peers, read with care: they come from outside."""

from collections.abc import Iterable

import msgpack

IDS_MAX = 10_000
"""In one list: as many as a cluster has nodes, and more than a node has tasks."""
ID_LENGTH_MAX = 64


class NotIds(ValueError):
    def __init__(self) -> None:
        super().__init__(f"must be a list of at most {IDS_MAX} ids of 1 to {ID_LENGTH_MAX} characters")


def packed_ids(ids: Iterable[str]) -> bytes:
    """What is too much is left out."""
    packed: bytes = msgpack.packb(list(ids)[:IDS_MAX])
    return packed


def ids_of(body: bytes) -> list[str]:
    """Raises `NotIds`."""
    try:
        ids = msgpack.unpackb(body)
    except (ValueError, TypeError, msgpack.UnpackException):
        raise NotIds from None
    if type(ids) is not list or len(ids) > IDS_MAX:
        raise NotIds
    if not all(type(each) is str and 1 <= len(each) <= ID_LENGTH_MAX for each in ids):
        raise NotIds
    return ids
