"""Why a change of a node is refused: one line each, with the data behind it."""

from collections.abc import Sequence

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId

NAMES_SHOWN_MAX = 10


class NodeRefused(SwarmletError):
    """A change of a node that can't be done as it was asked for."""


class UnknownNode(NodeRefused):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        shown = ", ".join(known[:NAMES_SHOWN_MAX]) + (", …" if len(known) > NAMES_SHOWN_MAX else "")
        super().__init__(f"no node has the name or id '{name}'; there is {shown or 'none at all'}")
        self.name = name
        self.known = tuple(known)


class AmbiguousNode(NodeRefused):
    def __init__(self, name: str, ids: Sequence[NodeId]) -> None:
        super().__init__(f"several nodes are called '{name}': name one by its id, {' or '.join(ids)}")
        self.name = name
        self.ids = tuple(ids)


class BadLabel(NodeRefused):
    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"label or taint '{key}': {problem}")
        self.key = key


class TooMany(NodeRefused):
    def __init__(self, node: str, what: str, count: int, count_max: int) -> None:
        super().__init__(f"{node} would have {count} {what}, and {count_max} are allowed: remove some first")
        self.count = count
        self.count_max = count_max


class NodeIsUp(NodeRefused):
    def __init__(self, node: str) -> None:
        super().__init__(f"{node} is up and would be back at once: stop its agent first, or drain it")
        self.node = node


class NodeHasTasks(NodeRefused):
    def __init__(self, node: str, tasks: int) -> None:
        what = "task is" if tasks == 1 else "tasks are"
        super().__init__(
            f"{tasks} {what} still assigned to {node}: wait until the cluster has replaced them, "
            f"see 'swarmlet tasks --node {node}'"
        )
        self.node = node
        self.tasks = tasks
