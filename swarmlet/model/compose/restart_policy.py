"""`restart_policy`: checked in full; what has no effect is said so by the key table. Defaults are Compose's."""

from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node
from swarmlet.model.compose.scalars import duration, integer, one_of
from swarmlet.model.spec import RestartCondition, RestartPolicy

ATTEMPTS_MAX = 1_000_000
_RESTART = "services.*.deploy.restart_policy"
_CONDITIONS = {
    "any": RestartCondition.ALWAYS,
    "on-failure": RestartCondition.ON_FAILURE,
    "none": RestartCondition.NEVER,
}


def read_restart_policy(node: Node, findings: Findings) -> RestartPolicy:
    fields = Fields(node, _RESTART, findings)
    fields.read("delay", duration, 0.0)
    fields.read("window", duration, 0.0)
    condition = fields.read("condition", one_of(*_CONDITIONS), "any")
    return RestartPolicy(
        condition=_CONDITIONS[condition],
        attempts_max=fields.read("max_attempts", integer(0, ATTEMPTS_MAX), 0),
    )
