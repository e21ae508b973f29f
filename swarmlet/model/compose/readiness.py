"""`x-swarmlet: readiness:`: a probe that decides over connections alone, beside the health check.

A task that fails it gets no connections and is left running: it is at work on something, not broken.
"""

from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node
from swarmlet.model.compose.node_probes import read_node_probe
from swarmlet.model.compose.scalars import integer, positive_duration
from swarmlet.model.spec import HealthCheck

RETRIES_MAX = 1_000
INTERVAL_S = 5.0
TIMEOUT_S = 5.0
RETRIES = 3
_PATTERN = "services.*.x-swarmlet.readiness"


def read_readiness(node: Node, findings: Findings) -> HealthCheck | None:
    fields = Fields(node, _PATTERN, findings)
    probe = read_node_probe(fields, _PATTERN, findings)
    interval_s = fields.read("interval", positive_duration, INTERVAL_S)
    timeout_s = fields.read("timeout", positive_duration, TIMEOUT_S)
    retries = fields.read("retries", integer(1, RETRIES_MAX), RETRIES)
    if probe is None:
        return None
    return HealthCheck(probe=probe, interval_s=interval_s, timeout_s=timeout_s, retries=retries)
