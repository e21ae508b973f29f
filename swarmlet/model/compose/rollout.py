"""`placement` and `restart_policy`: checked in full, obeyed or not.

What is written wrongly is wrong today too; what has no effect yet is said so by the key table. Defaults are Compose's.
"""

import re
from dataclasses import dataclass

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields, each
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, is_null, shown
from swarmlet.model.compose.scalars import duration, integer, mapping, one_of, string
from swarmlet.model.spec import RestartCondition, RestartPolicy

ATTEMPTS_MAX = 1_000_000
_PLACEMENT = "services.*.deploy.placement"
_RESTART = "services.*.deploy.restart_policy"
_SPREAD = re.compile(r"(node|engine)\.labels\.[A-Za-z0-9][A-Za-z0-9_.-]*")
_CONDITIONS = {
    "any": RestartCondition.ALWAYS,
    "on-failure": RestartCondition.ON_FAILURE,
    "none": RestartCondition.NEVER,
}


@dataclass(frozen=True, slots=True)
class Placement:
    spread: tuple[str, ...] = ()


UNSAID_PLACEMENT = Placement()


def read_placement(node: Node, findings: Findings) -> Placement:
    if is_null(node):
        return UNSAID_PLACEMENT
    fields = Fields(node, _PLACEMENT, findings)
    return Placement(fields.read("preferences", lambda value: each(value, _spread, findings), ()))


def read_restart_policy(node: Node, findings: Findings) -> RestartPolicy:
    fields = Fields(node, _RESTART, findings)
    fields.read("delay", duration, 0.0)
    fields.read("window", duration, 0.0)
    condition = fields.read("condition", one_of(*_CONDITIONS), "any")
    return RestartPolicy(
        condition=_CONDITIONS[condition],
        attempts_max=fields.read("max_attempts", integer(0, ATTEMPTS_MAX), 0),
    )


def _spread(node: Node) -> str:
    label = next((entry.value for entry in mapping(node).entries if entry.key == "spread"), None)
    if label is None:
        if mapping(node).entries:
            return ""  # an unknown key, which is a finding already
        raise refused(node, "has no 'spread', write 'spread: node.labels.zone'")
    written = string(label)
    if not _SPREAD.fullmatch(written):
        raise refused(label, f"{shown(written)} is no label of nodes, write one like node.labels.zone")
    return written
