"""Filters: each says no to a node with a reason in words for people, or nothing at all.

A filter looks at the node and the request only, and may never turn from no to yes because another task was
placed: `ClusterCapacity` relies on both.
"""

from typing import ClassVar, Protocol

from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.scheduler.nodes import NodeView, PlacementRequest

CPU_ROUNDING = 1e-6
"""Sums of fractions such as 0.1 are not exact; a millionth of a core decides nothing."""

MIB = 1024 * 1024
GIB = 1024 * MIB


class Filter(Protocol):
    name: ClassVar[str]

    def refusal(self, request: PlacementRequest, node: NodeView) -> str | None:
        """Why the task can't go there; None if this rule has nothing against it."""


class NodeIsUp:
    """The cluster agreed that the node is a working member."""

    name: ClassVar[str] = "node-is-up"

    def refusal(self, request: PlacementRequest, node: NodeView) -> str | None:
        if node.status is NodeStatus.UP:
            return None
        return "is down" if node.status is NodeStatus.DOWN else "has left"


class NodeIsAlive:
    """The failure detector has no doubt about the node right now."""

    name: ClassVar[str] = "node-is-alive"

    def refusal(self, request: PlacementRequest, node: NodeView) -> str | None:
        match node.liveness:
            case Liveness.ALIVE:
                return None
            case Liveness.SUSPECT:
                return "does not answer (suspected dead)"
            case None:
                return "has not been heard of yet"
            case _:
                return "does not answer"


class NodeIsNotCordoned:
    """People allow new tasks there."""

    name: ClassVar[str] = "node-is-not-cordoned"

    def refusal(self, request: PlacementRequest, node: NodeView) -> str | None:
        return "is cordoned" if node.cordoned and not request.on_every_node else None


class TaintsAreTolerated:
    name: ClassVar[str] = "taints-are-tolerated"

    def refusal(self, request: PlacementRequest, node: NodeView) -> str | None:
        return f"has the taint {node.taints[0].key}" if node.taints else None


class ResourcesFit:
    """What the task reserves is free: the node's capacity less the reservations of all tasks assigned to it."""

    name: ClassVar[str] = "resources-fit"

    def refusal(self, request: PlacementRequest, node: NodeView) -> str | None:
        wanted = request.reservations
        if not wanted.cpus and not wanted.memory_bytes:
            return None
        if node.capacity is None:
            return "its capacity is not known yet"
        short = []
        if wanted.cpus and wanted.cpus > node.free_cpus + CPU_ROUNDING:
            short.append(f"needs {cpus_text(wanted.cpus)}, {_number(max(node.free_cpus, 0))} free")
        if wanted.memory_bytes and wanted.memory_bytes > node.free_memory_bytes:
            free = size_text(max(node.free_memory_bytes, 0))
            short.append(f"needs {size_text(wanted.memory_bytes)} of memory, {free} free")
        return " and ".join(short) or None


FILTERS: tuple[Filter, ...] = (NodeIsUp(), NodeIsAlive(), NodeIsNotCordoned(), TaintsAreTolerated(), ResourcesFit())
"""In the order in which they are asked: the first refusal is the reason given."""


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def cpus_text(cpus: float) -> str:
    return f"{_number(cpus)} CPU" if cpus == 1 else f"{_number(cpus)} CPUs"


def size_text(size_bytes: int) -> str:
    """`512 MiB`, `1.5 GiB`; sizes below one MiB in bytes."""
    if size_bytes >= GIB:
        return f"{_number(size_bytes / GIB)} GiB"
    if size_bytes >= MIB:
        return f"{_number(size_bytes / MIB)} MiB"
    return f"{size_bytes} bytes" if size_bytes else "0 MiB"
