"""Volumes declared at the top of a file: key -> the volume's full name on each node.

A volume belongs to its stack (`STACK_KEY`) unless it says its own name or is external. Volumes are local to a node.
"""

import re
from collections.abc import Mapping as MappingOf

from swarmlet.model.compose.errors import refusal, refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Entry, Mapping, Node, below, is_null, shown
from swarmlet.model.compose.scalars import boolean, mapping, one_of, string

VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,199}")
"""What Podman and Docker both take."""


def read_volumes(node: Node, stack: str, findings: Findings) -> MappingOf[str, str]:
    declared: dict[str, str] = {}
    for entry in mapping(node).entries:
        # Also for a faulty declaration, lest its users were blamed for it.
        declared[entry.key] = f"{stack}_{entry.key}"
        with findings.collecting():
            declared[entry.key] = _full_name(entry, node.path, stack, findings)
    return declared


def _full_name(entry: Entry, path: str, stack: str, findings: Findings) -> str:
    if not VOLUME_NAME.fullmatch(entry.key):
        message = "no name for a volume, write letters, digits and _ . - (a letter or digit first)"
        raise refusal(entry.key_place, below(path, entry.key), message)
    if is_null(entry.value):
        return f"{stack}_{entry.key}"
    fields = Fields(entry.value, "volumes.*", findings)
    fields.read("driver", one_of("local"), "local")
    external = fields.read("external", lambda node: _external(node, findings), False)
    return fields.read("name", _volume_name, entry.key if external else f"{stack}_{entry.key}")


def _external(node: Node, findings: Findings) -> bool:
    if isinstance(node, Mapping):
        raise Fields(node, "volumes.*.external", findings).lack("must be true or false, write 'external: true'")
    return boolean(findings)(node)


def _volume_name(node: Node) -> str:
    name = string(node)
    if not VOLUME_NAME.fullmatch(name):
        raise refused(node, f"{shown(name)} is no name for a volume, write letters, digits and _ . -")
    return name
