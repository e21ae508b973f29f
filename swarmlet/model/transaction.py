"""A change of the store: comparisons, and what to write if all of them hold. The shape is etcd's transaction."""

from dataclasses import dataclass

from swarmlet.model.frozen import Frozen, encode


@dataclass(frozen=True, slots=True)
class Compare:
    """Holds when the object's last modification has this store revision; 0: the key must not exist."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Put:
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Deleting what does not exist is no error and no change."""

    key: str


Operation = Put | Delete


@dataclass(frozen=True, slots=True)
class RequestId:
    """Makes a retry harmless: a client's sequence number is applied at most once, whatever leader it reaches."""

    client: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Transaction:
    compares: tuple[Compare, ...]
    operations: tuple[Operation, ...]
    request: RequestId | None = None
    reason: str = ""
    """For people who read the event stream: what this change is for."""


def put(key: str, value: Frozen) -> Put:
    return Put(key, encode(value))
