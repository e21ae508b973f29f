"""`x-swarmlet: pod`: the name that services of a stack share a network under."""

import re

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.marks import Node, shown
from swarmlet.model.compose.scalars import string
from swarmlet.model.ids import NAME_PATTERN

_NAME = re.compile(NAME_PATTERN)


def read_pod(node: Node) -> str:
    name = string(node)
    if not _NAME.fullmatch(name):
        message = f"{shown(name)} is no name for a pod, write lower-case letters, digits, - and _, like front"
        raise refused(node, message)
    return name
