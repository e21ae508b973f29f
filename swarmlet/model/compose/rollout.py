"""`update_config`, `rollback_config`, `placement`, `restart_policy`: checked in full, obeyed or not.

What is written wrongly is wrong today too; what has no effect yet is said so by the key table. Defaults are Compose's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields, each
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, is_null, shown
from swarmlet.model.compose.scalars import duration, integer, mapping, one_of, string, text
from swarmlet.model.spec import REPLICAS_MAX, RestartCondition, RestartPolicy

ATTEMPTS_MAX = 1_000_000
_UPDATE = "services.*.deploy.update_config"
_ROLLBACK = "services.*.deploy.rollback_config"
_PLACEMENT = "services.*.deploy.placement"
_RESTART = "services.*.deploy.restart_policy"
_RATIO = re.compile(r"0|1|0?\.[0-9]{1,9}|[01]\.[0-9]{0,9}")
_SPREAD = re.compile(r"(node|engine)\.labels\.[A-Za-z0-9][A-Za-z0-9_.-]*")
_CONDITIONS = {
    "any": RestartCondition.ALWAYS,
    "on-failure": RestartCondition.ON_FAILURE,
    "none": RestartCondition.NEVER,
}


@dataclass(frozen=True, slots=True)
class UpdateConfig:
    parallelism: int = 1
    """0: all at once."""
    delay_s: float = 0.0
    failure_action: str = "pause"
    monitor_s: float = 0.0
    failure_ratio_max: float = 0.0
    order: str = "stop-first"


@dataclass(frozen=True, slots=True)
class Placement:
    spread: tuple[str, ...] = ()


UNSAID_UPDATE = UpdateConfig()
UNSAID_PLACEMENT = Placement()


def read_update(node: Node, findings: Findings) -> UpdateConfig:
    config = _config(node, _UPDATE, ("continue", "pause", "rollback"), findings)
    order = next((entry.value for entry in mapping(node).entries if entry.key == "order"), None)
    if order is not None and config.order == "stop-first":
        message = (
            "stop-first is not obeyed (yet): a new task is started before the old one is stopped, write start-first"
        )
        findings.warn(order.place, order.path, message)
    return config


def check_rollback(node: Node, findings: Findings) -> None:
    """A part of a key without effect: its keys are read without telling of each."""
    values = {entry.key: entry.value for entry in mapping(node).entries}
    for key, reader in _readers(("continue", "pause")).items():
        if key in values:
            with findings.collecting():
                reader(values[key])


def _config(node: Node, pattern: str, actions: tuple[str, ...], findings: Findings) -> UpdateConfig:
    fields = Fields(node, pattern, findings)
    unset = UNSAID_UPDATE
    return UpdateConfig(
        parallelism=fields.read("parallelism", integer(0, REPLICAS_MAX), unset.parallelism),
        delay_s=fields.read("delay", duration, unset.delay_s),
        failure_action=fields.read("failure_action", one_of(*actions), unset.failure_action),
        monitor_s=fields.read("monitor", duration, unset.monitor_s),
        failure_ratio_max=fields.read("max_failure_ratio", ratio, unset.failure_ratio_max),
        order=fields.read("order", one_of("start-first", "stop-first"), unset.order),
    )


def _readers(actions: tuple[str, ...]) -> dict[str, Callable[[Node], object]]:
    return {
        "parallelism": integer(0, REPLICAS_MAX),
        "delay": duration,
        "failure_action": one_of(*actions),
        "monitor": duration,
        "max_failure_ratio": ratio,
        "order": one_of("start-first", "stop-first"),
    }


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


def ratio(node: Node) -> float:
    found = text(node)
    if not _RATIO.fullmatch(found) or float(found) > 1:
        raise refused(node, f"cannot be {shown(found)}, write a number from 0 to 1, like 0.1")
    return float(found)


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
