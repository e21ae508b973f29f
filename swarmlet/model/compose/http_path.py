"""The path of an HTTP request that a node makes to a task."""

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.marks import Node, shown
from swarmlet.model.compose.scalars import string


def http_path(node: Node) -> str:
    path = string(node)
    if not path.startswith("/") or not path.isascii() or any(mark.isspace() or mark < " " for mark in path):
        raise refused(node, f"{shown(path)} is no path, write one that begins with / and has no spaces, like /healthz")
    return path
