"""`healthcheck`, and the probes that Compose has no words for (`x-swarmlet: health:`).

A health check without a probe would change the timings of the image's own, which nobody here can read: refused.
"""

from dataclasses import dataclass

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, Sequence, shown
from swarmlet.model.compose.ports import port_number
from swarmlet.model.compose.scalars import boolean, duration, integer, positive_duration, sequence, string, strings
from swarmlet.model.spec import CommandProbe, HealthCheck, HttpProbe, Probe, TcpProbe

RETRIES_MAX = 1_000
SHELL = ("/bin/sh", "-c")
_PATTERN = "services.*.healthcheck"
_EXTENSION = "services.*.x-swarmlet"
_HEALTH = f"{_EXTENSION}.health"
_UNSET = HealthCheck(probe=CommandProbe(argv=("true",)))
"""Only its timings are used: the defaults."""


@dataclass(frozen=True, slots=True)
class Extension:
    """What stands under a service's `x-swarmlet`."""

    probe: Probe | None = None
    probe_node: Node | None = None


def read_extension(node: Node, findings: Findings) -> Extension:
    health = Fields(node, _EXTENSION, findings).value("health")
    if health is None:
        return Extension()
    with findings.collecting():
        return Extension(_node_probe(health, findings), health)
    return Extension(None, health)


def read_health_check(node: Node | None, extension: Extension, findings: Findings) -> HealthCheck | None:
    """The check, from `healthcheck` (if it is there) and the extension's probe (if it is there)."""
    if node is None:
        return HealthCheck(probe=extension.probe) if extension.probe else None
    fields = Fields(node, _PATTERN, findings)
    test = fields.read("test", _test, None)
    interval_s = fields.read("interval", positive_duration, _UNSET.interval_s)
    timeout_s = fields.read("timeout", positive_duration, _UNSET.timeout_s)
    retries = fields.read("retries", integer(1, RETRIES_MAX), _UNSET.retries)
    start_period_s = fields.read("start_period", duration, _UNSET.start_period_s)
    start_interval_s = fields.read("start_interval", positive_duration, _UNSET.start_interval_s)
    disabled = fields.read("disable", boolean(findings), False)
    if disabled:
        return None
    if fields.has("test") and extension.probe_node is not None:
        raise refused(extension.probe_node, "there is a 'healthcheck.test' too, write only one of the two")
    if not fields.has("test") and extension.probe_node is None:
        raise fields.lack("has no 'test', write 'test: [\"CMD\", …]' or a probe at 'x-swarmlet: health:'")
    probe = extension.probe or test
    if probe is None:
        return None
    return HealthCheck(
        probe=probe,
        interval_s=interval_s,
        timeout_s=timeout_s,
        retries=retries,
        start_period_s=start_period_s,
        start_interval_s=start_interval_s,
    )


def _test(node: Node) -> CommandProbe | None:
    """None for the explicit NONE."""
    if not isinstance(node, Sequence):
        return CommandProbe(argv=(*SHELL, string(node)))
    words = strings(sequence(node))
    match words:
        case ("NONE",):
            return None
        case ("CMD-SHELL", command) if command:
            return CommandProbe(argv=(*SHELL, command))
        case ("CMD", program, *_) if program:
            return CommandProbe(argv=words[1:])
    written = f"begins with {shown(words[0])}" if words else "is empty"
    message = f'{written}, write ["CMD", program, argument, …], ["CMD-SHELL", "one command"] or ["NONE"]'
    raise refused(node, message)


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
