"""`x-swarmlet: ingress`: the hosts and paths under which a service answers HTTP, one mapping or a list of them."""

import re

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields, each
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.http_path import http_path
from swarmlet.model.compose.marks import Node, Sequence, shown
from swarmlet.model.compose.ports import port_number
from swarmlet.model.compose.scalars import string
from swarmlet.model.spec import HttpRoute

_PATTERN = "services.*.x-swarmlet.ingress[]"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
HOST_LENGTH_MAX = 253


def read_ingress(node: Node, findings: Findings) -> tuple[HttpRoute, ...]:
    if isinstance(node, Sequence):
        return each(node, lambda item: _route(item, findings), findings)
    return (_route(node, findings),)


def _route(node: Node, findings: Findings) -> HttpRoute:
    fields = Fields(node, _PATTERN, findings)
    return HttpRoute(
        host=fields.read("host", _host, ""),
        path=fields.read("path", http_path, "/"),
        port=fields.require("port", port_number, "8080"),
    )


def _host(node: Node) -> str:
    host = string(node)
    if len(host) > HOST_LENGTH_MAX or not _HOST.fullmatch(host):
        raise refused(node, f"{shown(host)} is no host name, write one like shop.example.com or *.example.com")
    return host
