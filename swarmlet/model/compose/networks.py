"""`networks`: the names that a file declares, and that services name no other. They separate nothing here (yet)."""

from difflib import get_close_matches

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Mapping, Node, is_null, shown
from swarmlet.model.compose.scalars import boolean, mapping, sequence, string

DEFAULT = "default"
"""Every service is in it unless it says otherwise, and it needs no declaration."""


def read_networks(node: Node, findings: Findings) -> frozenset[str]:
    names = {DEFAULT}
    for entry in () if is_null(node) else mapping(node).entries:
        names.add(entry.key)
        if not is_null(entry.value):
            with findings.collecting():
                fields = Fields(entry.value, "networks.*", findings)
                for key in ("enable_ipv4", "enable_ipv6", "attachable"):
                    fields.read(key, boolean(findings), False)
                fields.read("name", string, "")
    return frozenset(names)


def check_named(node: Node, declared: frozenset[str], findings: Findings) -> None:
    """Each network that a service names is declared."""
    named = (
        [(entry.key, entry.value) for entry in node.entries]
        if isinstance(node, Mapping)
        else [(string(item), item) for item in sequence(node).items]
    )
    for name, at in named:
        if name not in declared:
            near = get_close_matches(name, declared, n=1)
            remedy = f"write {near[0]}" if near else f"write '{name}:' below 'networks:' at the top level"
            findings.refuse(refused(at, f"the network {shown(name)} is not declared, {remedy}"))
