"""A service's `x-swarmlet`: what Compose has no words for. A section here, its rows in `key_rows_extension`."""

from dataclasses import dataclass

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, shown
from swarmlet.model.compose.ports import port_number
from swarmlet.model.compose.scalars import string
from swarmlet.model.spec import HttpProbe, Probe, TcpProbe

_EXTENSION = "services.*.x-swarmlet"
_HEALTH = f"{_EXTENSION}.health"


@dataclass(frozen=True, slots=True)
class Extension:
    probe: Probe | None = None
    probe_node: Node | None = None


def read_extension(node: Node, findings: Findings) -> Extension:
    fields = Fields(node, _EXTENSION, findings)
    return Extension(
        probe=fields.read("health", lambda value: _node_probe(value, findings), None),
        probe_node=fields.value("health"),
    )


def _node_probe(node: Node, findings: Findings) -> Probe | None:
    fields = Fields(node, _HEALTH, findings)
    http = fields.read("http", lambda value: _http(value, findings), None)
    tcp = fields.read("tcp", lambda value: _tcp(value, findings), None)
    if fields.has("http") == fields.has("tcp"):
        raise fields.lack("must have one probe, write 'http: {port: 8080, path: /}' or 'tcp: {port: 8080}'")
    return http or tcp


def _http(node: Node, findings: Findings) -> HttpProbe:
    fields = Fields(node, f"{_HEALTH}.http", findings)
    path = fields.read("path", _path, "/")
    return HttpProbe(port=fields.require("port", port_number, "8080"), path=path)


def _tcp(node: Node, findings: Findings) -> TcpProbe:
    return TcpProbe(port=Fields(node, f"{_HEALTH}.tcp", findings).require("port", port_number, "8080"))


def _path(node: Node) -> str:
    path = string(node)
    if not path.startswith("/") or not path.isascii() or any(mark.isspace() or mark < " " for mark in path):
        raise refused(node, f"{shown(path)} is no path, write one that begins with / and has no spaces, like /healthz")
    return path
