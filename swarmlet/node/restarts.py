"""May a task's container be started again, and when? The restart policy, counted. Pure.

Each end of a run (and each start that the engine refused) is an attempt used up; the delay before the next start
doubles with each in a row. A run that was healthy for `restart_reset_after_s` wipes the slate.
"""

from swarmlet.model.spec import RestartCondition, RestartPolicy
from swarmlet.node.settings import NodeSettings


class Restarts:
    def __init__(self, settings: NodeSettings) -> None:
        self.count = 0
        """How often the container was started again since this node took the task on (or adopted it)."""
        self.given_up = False
        """It ended and the policy leaves it so."""
        self.message = ""
        self._settings = settings
        self._in_a_row = 0
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

    def ended(self, policy: RestartPolicy, failed: bool, healthy_for_s: float, why: str, now: float) -> None:
        """A run ended, or a start was refused; `why` says so in words."""
        if healthy_for_s >= self._settings.restart_reset_after_s:
            self._in_a_row = 0
        if policy.condition is RestartCondition.NEVER:
            self._give_up(f"{why}; its restart policy is 'no'")
        elif policy.condition is RestartCondition.ON_FAILURE and not failed:
            self._give_up(why)
        elif not self.allowed(policy):
            self._give_up(f"{why}; all {policy.attempts_max} restarts of its policy are used up")
        else:
            self._in_a_row += 1
            delay_s = self._settings.restart.delay_s(self._in_a_row)
            self._not_before = now + delay_s
            self.message = f"{why}; started again {delay_s:g} s later"

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
        self.message = ""

    def _give_up(self, message: str) -> None:
        self.given_up = True
        self.message = message
        self._not_before = None
