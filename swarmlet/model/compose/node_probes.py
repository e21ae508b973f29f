"""Probes that a task's node makes, instead of a command in the container: `http: {port, path}` or `tcp: {port}`."""

from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.http_path import http_path
from swarmlet.model.compose.marks import Node
from swarmlet.model.compose.ports import port_number
from swarmlet.model.spec import HttpProbe, TcpProbe


def read_node_probe(fields: Fields, pattern: str, findings: Findings) -> HttpProbe | TcpProbe | None:
    """The one that is there. Raises `ComposeError` where both are, or neither."""
    http = fields.read("http", lambda value: _http(value, f"{pattern}.http", findings), None)
    tcp = fields.read("tcp", lambda value: _tcp(value, f"{pattern}.tcp", findings), None)
    if fields.has("http") == fields.has("tcp"):
        raise fields.lack("must have one probe, write 'http: {port: 8080, path: /}' or 'tcp: {port: 8080}'")
    return http or tcp


def _http(node: Node, pattern: str, findings: Findings) -> HttpProbe:
    fields = Fields(node, pattern, findings)
    path = fields.read("path", http_path, "/")
    return HttpProbe(port=fields.require("port", port_number, "8080"), path=path)


def _tcp(node: Node, pattern: str, findings: Findings) -> TcpProbe:
    return TcpProbe(port=Fields(node, pattern, findings).require("port", port_number, "8080"))
