"""Devices that are reserved: `reservations.devices`, `generic_resources`, `gpus`. Counted by kind, as nodes have them.

A kind is a word of the node's configuration (`resources.devices`). Of Compose's `capabilities` the first is the kind,
so `[gpu]` asks for what nodes call `gpu`. As Compose has it, who says no number wants all that there are; who says
`device_ids` wants just those.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, Sequence, shown
from swarmlet.model.compose.scalars import integer, sequence, string, text
from swarmlet.model.container import DEVICE_ID_PATTERN
from swarmlet.model.spec import ALL_DEVICES, total_device_ids, total_devices

GPU = "gpu"
ALL = "all"
COUNT_MAX = 10_000
_KIND = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?")
_DEVICES = "services.*.deploy.resources.reservations.devices[]"
_GENERIC = "services.*.deploy.resources.reservations.generic_resources[]"
_GPUS = "services.*.gpus[]"

_count = integer(1, COUNT_MAX)


@dataclass(frozen=True, slots=True)
class Reserved:
    """By kind: how many, and which of them are asked for by their ids."""

    counts: dict[str, int] = field(default_factory=dict)
    ids: dict[str, tuple[str, ...]] = field(default_factory=dict)


NONE_RESERVED = Reserved()


def all_together(reserved: Iterable[Reserved]) -> Reserved:
    reserved = list(reserved)
    counts = total_devices(each.counts for each in reserved)
    ids = total_device_ids(each.ids for each in reserved)
    return Reserved(dict(sorted(counts.items())), dict(sorted(ids.items())))


def read_devices(node: Node, findings: Findings) -> Reserved:
    return all_together([_device(item, _DEVICES, None, findings) for item in sequence(node).items])


def read_gpus(node: Node, findings: Findings) -> Reserved:
    if not isinstance(node, Sequence):
        if text(node) != ALL:
            raise refused(node, "must be 'all' or a list, write lines like '- count: 1'")
        return Reserved({GPU: ALL_DEVICES})
    return all_together([_device(item, _GPUS, GPU, findings) for item in node.items])


def read_generic(node: Node, findings: Findings) -> Reserved:
    return all_together([_generic(item, findings) for item in sequence(node).items])


def _device(node: Node, pattern: str, default: str | None, findings: Findings) -> Reserved:
    fields = Fields(node, pattern, findings)
    kinds = fields.read("capabilities", lambda value: tuple(_kind(one) for one in sequence(value).items), ())
    fields.read("driver", string, "")
    if not fields.has("capabilities") and default is None:
        raise fields.lack("has no 'capabilities', write 'capabilities: [gpu]'")
    kind = kinds[0] if kinds else default or ""
    ids = fields.read("device_ids", _ids, ())
    count = fields.read("count", _number, ALL_DEVICES)
    if not ids:
        return Reserved({kind: count})
    if fields.has("count"):
        raise refused(node, "has 'count' and 'device_ids', remove one of them")
    return Reserved({kind: len(ids)}, {kind: ids})


def _ids(node: Node) -> tuple[str, ...]:
    ids = tuple(_id(item) for item in sequence(node).items)
    if len(set(ids)) < len(ids):
        raise refused(node, "asks for one device twice, write each id once")
    if not ids:
        raise refused(node, "has no id, write some like '0', or 'count: all' instead")
    return ids


def _id(node: Node) -> str:
    found = text(node)
    if not re.fullmatch(DEVICE_ID_PATTERN, found):
        raise refused(node, f"{shown(found)} is no id of a device, write one that a node's configuration names")
    return found


def _generic(node: Node, findings: Findings) -> Reserved:
    fields = Fields(node, _GENERIC, findings)
    kind, count = fields.require(
        "discrete_resource_spec", lambda value: _discrete(value, findings), "{kind: gpu, value: 1}"
    )
    return Reserved({kind: count})


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
