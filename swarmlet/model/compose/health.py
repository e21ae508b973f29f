"""`healthcheck`, with the probe from there or from `x-swarmlet: health:` (see `extension`).

A health check without a probe would change the timings of the image's own, which nobody here can read: refused.
"""

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.extension import Extension
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, Sequence, shown
from swarmlet.model.compose.scalars import boolean, duration, integer, positive_duration, sequence, string, strings
from swarmlet.model.spec import CommandProbe, HealthCheck

RETRIES_MAX = 1_000
SHELL = ("/bin/sh", "-c")
_PATTERN = "services.*.healthcheck"
_UNSET = HealthCheck(probe=CommandProbe(argv=("true",)))
"""Only its timings are used: the defaults."""


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
