"""How a service passes from one revision to the next: what users declare (policy), and how far it is (stored state).

A *revision* is one version of a service, numbered from 1 in the order in which they were rolled out. A *rollout* brings
one; there is one a service at most, and the last one stays on record. Everything of it that a new leader needs is in
`Rollout`; what can be seen of the tasks (which are ready, which fail) is not. Decision records 0047 to 0049.
"""

import math
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from swarmlet.model.frozen import Frozen

Seconds = Annotated[float, Field(ge=0)]
Percent = Annotated[int, Field(ge=1, le=100)]

CANARY_STEPS_MAX = 20


class Order(StrEnum):
    START_FIRST = "start-first"
    """A new task starts beside the old one, which stops when the new one is ready."""
    STOP_FIRST = "stop-first"
    """The old task is gone before its successor starts."""


class FailureAction(StrEnum):
    ROLLBACK = "rollback"
    PAUSE = "pause"
    CONTINUE = "continue"
    """Wait for as long as it takes: nothing is given up, and nothing that is healthy stops."""


class UpdatePolicy(Frozen):
    order: Order = Order.START_FIRST
    parallelism: int | None = Field(default=None, ge=0)
    """How many seats at a time; None: a third, at least one; 0: all."""
    delay_s: Seconds = 0.0
    """After a seat was taken over, before the next one's turn."""
    monitor_s: Seconds = 0.0
    """A new task takes over when it has been ready for so long without a break."""
    failure_ratio_max: float = Field(default=0.0, ge=0, le=1)
    """The share of all tasks that may be failing without the rollout having failed."""
    failure_action: FailureAction = FailureAction.ROLLBACK

    def at_once(self, wanted: int) -> int:
        """How many seats may be in transition at a time."""
        if self.parallelism is None:
            return max(1, math.ceil(wanted / 3))
        return self.parallelism or max(1, wanted)


class Canary(Frozen):
    """First a part of the tasks, in steps, then the rest."""

    steps: tuple[Percent, ...] = Field(max_length=CANARY_STEPS_MAX)
    """Rising."""
    hold_s: Seconds | None = None
    """How long each step is watched; None: until somebody resumes."""


class RolloutPolicy(Frozen):
    update: UpdatePolicy = UpdatePolicy()
    rollback: UpdatePolicy | None = None
    """None: as the update."""
    canary: Canary | None = None
    blue_green: bool = False
    """All new tasks start beside all old ones; traffic switches when all of them are ready, then the old ones stop."""
    patience_s: Seconds = 10.0
    """A new task in trouble has failed when it is so old, its start period not counted: some only need a second try."""
    deadline_s: float = Field(default=600.0, gt=0)
    """A new task that says nothing of trouble has failed when it is not ready after so long."""

    def paced(self, is_rollback: bool) -> UpdatePolicy:
        """What a rollout keeps to. A rollback is not rolled back."""
        chosen = (self.rollback if is_rollback else None) or self.update
        changes: dict[str, object] = {}
        if is_rollback and chosen.failure_action is FailureAction.ROLLBACK:
            changes["failure_action"] = FailureAction.PAUSE
        if self.blue_green:
            changes["order"] = Order.START_FIRST
        return chosen.model_copy(update=changes)

    def stop_first(self) -> "RolloutPolicy":
        """For a service of which no two tasks may run beside each other, forward or back."""
        wanted = {"order": Order.STOP_FIRST}
        rollback = self.rollback.model_copy(update=wanted) if self.rollback else None
        return self.model_copy(update={"update": self.update.model_copy(update=wanted), "rollback": rollback})


def surge(policy: RolloutPolicy, wanted: int, *, is_rollback: bool = False) -> int:
    """How many tasks more than wanted a rollout may run at a time."""
    paced = policy.paced(is_rollback)
    if policy.blue_green:
        return max(1, wanted)
    return paced.at_once(wanted) if paced.order is Order.START_FIRST else 0
