"""Devices that are reserved: `reservations.devices`, `generic_resources`, `gpus`. Counted by kind, as nodes have them.

A kind is a word of the node's configuration (`resources.devices`). Of Compose's `capabilities` the first is the kind,
so `[gpu]` asks for what nodes call `gpu`. As Compose has it, who says no number wants all that there are.
"""

import re

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, Sequence, shown
from swarmlet.model.compose.scalars import integer, sequence, string, text
from swarmlet.model.spec import ALL_DEVICES, total_devices

GPU = "gpu"
ALL = "all"
COUNT_MAX = 10_000
_KIND = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")
_DEVICES = "services.*.deploy.resources.reservations.devices[]"
_GENERIC = "services.*.deploy.resources.reservations.generic_resources[]"
_GPUS = "services.*.gpus[]"

_count = integer(1, COUNT_MAX)


def read_devices(node: Node, findings: Findings) -> dict[str, int]:
    return _sum([_device(item, _DEVICES, None, findings) for item in sequence(node).items])


def read_gpus(node: Node, findings: Findings) -> dict[str, int]:
    if not isinstance(node, Sequence):
        if text(node) != ALL:
            raise refused(node, "must be 'all' or a list, write lines like '- count: 1'")
        return {GPU: ALL_DEVICES}
    return _sum([_device(item, _GPUS, GPU, findings) for item in node.items])


def read_generic(node: Node, findings: Findings) -> dict[str, int]:
    return _sum([_generic(item, findings) for item in sequence(node).items])


def _device(node: Node, pattern: str, default: str | None, findings: Findings) -> tuple[str, int]:
    fields = Fields(node, pattern, findings)
    kinds = fields.read("capabilities", lambda value: tuple(_kind(one) for one in sequence(value).items), ())
    fields.read("driver", string, "")
    if not fields.has("capabilities") and default is None:
        raise fields.lack("has no 'capabilities', write 'capabilities: [gpu]'")
    return (kinds[0] if kinds else default or ""), fields.read("count", _number, ALL_DEVICES)


def _generic(node: Node, findings: Findings) -> tuple[str, int]:
    fields = Fields(node, _GENERIC, findings)
    return fields.require("discrete_resource_spec", lambda value: _discrete(value, findings), "{kind: gpu, value: 1}")


def _discrete(node: Node, findings: Findings) -> tuple[str, int]:
    fields = Fields(node, f"{_GENERIC}.discrete_resource_spec", findings)
    return fields.require("kind", _kind, "gpu"), fields.require("value", _count, "1")


def _kind(node: Node) -> str:
    found = string(node).lower()
    if not _KIND.fullmatch(found):
        raise refused(node, f"{shown(found)} is no kind of device, write a word like gpu")
    return found


def _number(node: Node) -> int:
    return ALL_DEVICES if text(node) == ALL else _count(node)


def _sum(counted: list[tuple[str, int]]) -> dict[str, int]:
    return total_devices({kind: count} for kind, count in sorted(counted))
