"""May a task's container be started again, and when? The restart policy, counted. Pure.

Each end of a run (and each start that the engine refused) is an attempt used up; the delay before the next start
doubles with each in a row, moved a little by a number that is the task's own, so that tasks which failed together do
not come back together. A task that has failed too often in a row is parked: it is tried again so seldom that it costs
nothing, and it says why. A run that was healthy for `restart_reset_after_s` wipes the slate.
"""

from zlib import crc32

from swarmlet.model.ids import TaskId
from swarmlet.model.spec import RestartCondition, RestartPolicy
from swarmlet.node.settings import NodeSettings

CANT_BE_RUN = (126, 127)
"""By the shell's convention: found but not executable, or not found."""


class Restarts:
    def __init__(self, settings: NodeSettings, task: TaskId) -> None:
        self.count = 0
        """How often the container was started again since this node took the task on (or adopted it)."""
        self.given_up = False
        """It ended and the policy leaves it so."""
        self.parked = False
        """It is tried again, but seldom."""
        self.message = ""
        self._settings = settings
        self._task = task
        self._in_a_row = 0
        self._failed_in_a_row = 0
        self._hopeless_in_a_row = 0
        self._not_before: float | None = None

    @property
    def waiting(self) -> bool:
        """It ended and is to be started again."""
        return self._not_before is not None

    def allowed(self, policy: RestartPolicy) -> bool:
        """Would a failure now be followed by a restart?"""
        if policy.condition is RestartCondition.NEVER:
            return False
        return policy.attempts_max == 0 or self._in_a_row < policy.attempts_max

    def ended(
        self,
        policy: RestartPolicy,
        failed: bool,
        healthy_for_s: float,
        why: str,
        now: float,
        *,
        hopeless: bool = False,
    ) -> None:
        """A run ended, or a start was refused; `why` says so in words. `hopeless`: the program can't be run at all."""
        if healthy_for_s >= self._settings.restart_reset_after_s:
            self._in_a_row = self._failed_in_a_row = self._hopeless_in_a_row = 0
        self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
        self._hopeless_in_a_row = self._hopeless_in_a_row + 1 if hopeless else 0
        if policy.condition is RestartCondition.NEVER:
            self._give_up(f"{why}; its restart policy is 'no'")
        elif policy.condition is RestartCondition.ON_FAILURE and not failed:
            self._give_up(why)
        elif not self.allowed(policy):
            self._give_up(f"{why}; all {policy.attempts_max} restarts of its policy are used up")
        else:
            self._in_a_row += 1
            self._wait(why, now)

    def _wait(self, why: str, now: float) -> None:
        settings = self._settings
        factor = 1 + settings.restart_jitter * (2 * self._spread() - 1)
        self.parked = (
            self._failed_in_a_row >= settings.park_after or self._hopeless_in_a_row >= settings.park_hopeless_after
        )
        if self.parked:
            delay_s = settings.parked_s * factor
            how = f"parked after {self._failed_in_a_row} failures in a row, tried again {delay_s / 60:.0f} min later"
        else:
            delay_s = settings.restart.delay_s(self._in_a_row) * factor
            how = f"started again {delay_s:.3g} s later"
        self._not_before = now + delay_s
        self.message = f"{why}; {how}"

    def _spread(self) -> float:
        """From 0 to 1: another for each task and each of its restarts, the same whenever it is asked for."""
        return crc32(f"{self._task}/{self._in_a_row}".encode()) / 0xFFFFFFFF

    def due_at(self) -> float | None:
        """The earliest time of the next start; None: at once."""
        return self._not_before

    def begun(self) -> None:
        """A start is under way: count it if it is one after an end."""
        if self._not_before is not None:
            self.count += 1
            self._not_before = None

    def forget_end(self) -> None:
        """The container turned out to run after all."""
        self._not_before = None
        self.given_up = False
        self.parked = False
        self.message = ""

    def _give_up(self, message: str) -> None:
        self.given_up = True
        self.message = message
        self._not_before = None
