"""How a service is updated: `deploy.update_config`, `deploy.rollback_config` and `x-swarmlet: rollout:`.

Compose's own defaults (stop-first, one at a time, a pause on failure) hold in an `update_config` that is there; without
one a service is updated start-first, a third at a time, and rolled back on failure. Decision record 0047.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, is_null, shown
from swarmlet.model.compose.scalars import duration, integer, one_of, positive_duration, sequence, text
from swarmlet.model.rollout import CANARY_STEPS_MAX, Canary, FailureAction, Order, RolloutPolicy, UpdatePolicy
from swarmlet.model.spec import REPLICAS_MAX

_DEPLOY = "services.*.deploy."
_ROLLOUT = "services.*.x-swarmlet.rollout"
_RATIO = re.compile(r"0|1|0?\.[0-9]{1,9}|[01]\.[0-9]{0,9}")
_PERCENT = re.compile(r"([1-9][0-9]?|100)%")
_UNSAID = RolloutPolicy()


@dataclass(frozen=True, slots=True)
class RolloutExtension:
    canary: Canary | None = None
    blue_green: bool = False
    patience_s: float = _UNSAID.patience_s
    deadline_s: float = _UNSAID.deadline_s

    def policy(self, update: UpdatePolicy | None, rollback: UpdatePolicy | None) -> RolloutPolicy:
        return RolloutPolicy(
            update=update or _UNSAID.update,
            rollback=rollback,
            canary=self.canary,
            blue_green=self.blue_green,
            patience_s=self.patience_s,
            deadline_s=self.deadline_s,
        )


def read_update(node: Node, findings: Findings) -> UpdatePolicy | None:
    return _policy(node, "update_config", tuple(FailureAction), findings)


def read_rollback(node: Node, findings: Findings) -> UpdatePolicy | None:
    """A rollback that fails is not rolled back."""
    return _policy(node, "rollback_config", (FailureAction.CONTINUE, FailureAction.PAUSE), findings)


def _policy(node: Node, key: str, actions: tuple[FailureAction, ...], findings: Findings) -> UpdatePolicy | None:
    if is_null(node):
        return None
    fields = Fields(node, _DEPLOY + key, findings)
    return UpdatePolicy(
        order=Order(fields.read("order", one_of(Order.START_FIRST, Order.STOP_FIRST), Order.STOP_FIRST)),
        parallelism=fields.read("parallelism", integer(0, REPLICAS_MAX), 1),
        delay_s=fields.read("delay", duration, 0.0),
        monitor_s=fields.read("monitor", duration, 0.0),
        failure_ratio_max=fields.read("max_failure_ratio", ratio, 0.0),
        failure_action=FailureAction(fields.read("failure_action", one_of(*sorted(actions)), FailureAction.PAUSE)),
    )


def read_rollout(node: Node, findings: Findings) -> RolloutExtension:
    fields = Fields(node, _ROLLOUT, findings)
    strategy = fields.read("strategy", one_of("rolling", "blue-green"), "rolling")
    canary = fields.read("canary", lambda value: _canary(value, findings), None)
    if canary is not None and strategy == "blue-green":
        raise refused(node, "is blue-green, which switches all at once, and has canary steps: remove one of the two")
    return RolloutExtension(
        canary=canary,
        blue_green=strategy == "blue-green",
        patience_s=fields.read("patience", duration, _UNSAID.patience_s),
        deadline_s=fields.read("deadline", positive_duration, _UNSAID.deadline_s),
    )


def _canary(node: Node, findings: Findings) -> Canary:
    fields = Fields(node, f"{_ROLLOUT}.canary", findings)
    return Canary(
        steps=fields.require("steps", _steps, "[10%, 50%]"),
        hold_s=fields.read("hold", _hold, None),
    )


def _steps(node: Node) -> tuple[int, ...]:
    items = sequence(node).items
    if not 1 <= len(items) <= CANARY_STEPS_MAX:
        raise refused(node, f"has {len(items)} steps, write 1 to {CANARY_STEPS_MAX}, like [10%, 50%]")
    steps = tuple(_percent(item) for item in items)
    if any(one >= other for one, other in pairwise(steps)):
        raise refused(node, "must rise from step to step, write them like [10%, 50%]")
    return steps


def _percent(node: Node) -> int:
    found = text(node)
    if not _PERCENT.fullmatch(found):
        raise refused(node, f"cannot be {shown(found)}, write a share of the tasks from 1% to 100%, like 10%")
    return int(found.removesuffix("%"))


def _hold(node: Node) -> float | None:
    return None if text(node) == "manual" else duration(node)


def ratio(node: Node) -> float:
    found = text(node)
    if not _RATIO.fullmatch(found) or float(found) > 1:
        raise refused(node, f"cannot be {shown(found)}, write a number from 0 to 1, like 0.1")
    return float(found)
