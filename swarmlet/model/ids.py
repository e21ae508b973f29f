"""Names of things, as types: an id of one kind cannot be handed over for another.

A node id is made at a node's first start and kept in its data directory; it is never an address and never
the node's name. A service's id is its stack's name and its own, joined by a dot (neither may contain one).
"""

from random import Random
from typing import NewType

NodeId = NewType("NodeId", str)
TaskId = NewType("TaskId", str)
StackName = NewType("StackName", str)
ServiceId = NewType("ServiceId", str)
RevisionHash = NewType("RevisionHash", str)
"""Names one immutable version of a service's task template (a prefix of its content's SHA-256)."""

NAME_PATTERN = r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$"
"""What a stack, a service or a node may be called: a DNS label, with `_` allowed as Compose does."""


def service_id(stack: StackName, service_name: str) -> ServiceId:
    return ServiceId(f"{stack}.{service_name}")


def new_node_id(rng: Random) -> NodeId:
    """A fresh node id: 16 hexadecimal digits (64 bits). Shells pass `random.SystemRandom()`."""
    return NodeId(f"{rng.getrandbits(64):016x}")
