"""Filters on what is left of a node: processors, memory, devices, ports, and places for one service."""

from collections.abc import Iterable
from typing import ClassVar

from swarmlet.model.spec import ALL_DEVICES
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.devices import ids_refusal
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.quantities import cpus_text, number, size_text
from swarmlet.scheduler.rules import Refusing

CPU_ROUNDING = 1e-6
"""Sums of fractions such as 0.1 are not exact; a millionth of a core decides nothing."""
NOT_KNOWN = "its capacity is not known yet"


class ResourcesFit:
    """What the task reserves is free: the node's capacity less the reservations of all tasks assigned to it."""

    name: ClassVar[str] = "resources-fit"
    fixed: ClassVar[bool] = False

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        cpus, memory_bytes = request.reservations.cpus, request.reservations.memory_bytes
        if not cpus and not memory_bytes:
            return

        def refusal(node: NodeView) -> str | None:
            capacity = node.capacity
            if capacity is None:
                return NOT_KNOWN
            lacks_cpus = cpus and cpus > capacity.cpus - node.reserved_cpus + CPU_ROUNDING
            lacks_memory = memory_bytes and memory_bytes > capacity.memory_bytes - node.reserved_memory_bytes
            if not lacks_cpus and not lacks_memory:
                return None
            short = []
            if lacks_cpus:
                short.append(f"needs {cpus_text(cpus)}, {number(max(node.free_cpus, 0))} free")
            if lacks_memory:
                free = size_text(max(node.free_memory_bytes, 0))
                short.append(f"needs {size_text(memory_bytes)} of memory, {free} free")
            return " and ".join(short)

        yield Refusing(refusal)


class DevicesFit:
    """GPUs and whatever else a node has in pieces: enough of them, and those that are asked for by their ids."""

    name: ClassVar[str] = "devices-fit"
    fixed: ClassVar[bool] = False

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        wanted, ids = request.reservations.devices, request.reservations.device_ids
        if not wanted:
            return

        def refusal(node: NodeView) -> str | None:
            if node.capacity is None:
                return NOT_KNOWN
            for kind, count in wanted.items():
                if kind in ids and (reason := ids_refusal(node, kind, ids[kind])) is not None:
                    return reason
                has, free = node.devices(kind), max(node.free_devices(kind), 0)
                if not has:
                    return f"has no {kind}"
                if free < (has if count == ALL_DEVICES else count):
                    needed = "all" if count == ALL_DEVICES else count
                    return f"needs {needed} × {kind}, {free} of {has} free"
            return None

        yield Refusing(refusal)


class HostPortsFree:
    """A port that a task binds on the node itself (`network_mode: host`) is nobody else's."""

    name: ClassVar[str] = "host-ports-free"
    fixed: ClassVar[bool] = False

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        ports = request.host_ports
        if not ports:
            return

        def refusal(node: NodeView) -> str | None:
            taken = node.host_ports
            for port in ports:
                if taken.get(port, 0):
                    return f"port {port} of the node is taken"
            return None

        yield Refusing(refusal)


class PerNodeLimit:
    """`max_replicas_per_node`."""

    name: ClassVar[str] = "per-node-limit"
    fixed: ClassVar[bool] = False

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        limit, service = request.placement.per_node_max, request.service
        if not limit:
            return

        def refusal(node: NodeView) -> str | None:
            count = node.tasks_of.get(service, 0)
            return None if count < limit else f"has {count} of its tasks, and {limit} is the most a node may get"

        yield Refusing(refusal)
