"""Is a running task healthy? Counts probe results and says when the next probe is due. Pure.

Three kinds of task:
- with a health check: probed each `start_interval_s` until the first success, then each `interval_s`; unhealthy
  after `retries` failures in a row. Failures within `start_period_s` never count. Until the first success at most
  one failure an `interval_s` counts: quick probing finds a ready task sooner, it never condemns a slow one sooner
  than Compose's rules would. Liveness applies: the owner restarts it when it becomes unhealthy.
- with ports and no health check: healthy once its first target port has accepted a connection, for good.
- with neither: healthy once it has run for `steady_s`, so that one which ends as soon as it starts never is. What
  has proven itself (its last run lasted so long, or it was met running) is healthy at once.

A probe that could not be carried out (the engine was away) says nothing about the task and counts for nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

from swarmlet.model.observed import Health
from swarmlet.model.spec import HealthCheck, Probe, TaskTemplate, TcpProbe
from swarmlet.node.settings import NodeSettings


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What a template asks to be probed by, explicitly or by having ports."""

    probe: Probe
    timeout_s: float
    check: HealthCheck | None
    """None: implied readiness."""


def plan_of(template: TaskTemplate, settings: NodeSettings) -> ProbePlan | None:
    if template.health_check is not None:
        check = template.health_check
        return ProbePlan(check.probe, check.timeout_s, check)
    if template.ports:
        return ProbePlan(TcpProbe(port=template.ports[0].target), settings.readiness_timeout_s, None)
    return None


def readiness_plan_of(template: TaskTemplate) -> ProbePlan | None:
    check = template.readiness
    return ProbePlan(check.probe, check.timeout_s, check) if check is not None else None


class HealthTracker:
    """The health of one run of a task's container, from its start (or adoption) to its end.

    Its readiness, too, where a task has a probe for that (`check` is how messages call it): the same counting, and
    nobody restarts it for that.
    """

    def __init__(
        self,
        plan: ProbePlan | None,
        settings: NodeSettings,
        now: float,
        proven: bool = False,
        check: str = "health check",
    ) -> None:
        self.plan = plan
        self._check = check
        self.probe_at: float | None = None
        """When the next probe is due; None while one is out, or when none will be."""
        self.steady_at: float | None = None
        """When a run that nothing probes has lasted long enough; None once it has, and where probes decide."""
        self.health = Health.UNKNOWN
        self.message = ""
        self.healthy_since: float | None = None
        self._settings = settings
        self._attempts = 0
        self._failures = 0
        self._ever_passed = False
        self._count_from = now
        if plan is not None:
            self._begin(plan, now)
        elif proven:
            self._passed(now)
        else:
            self.steady_at = now + settings.steady_s
            self.message = f"waiting for it to have run for {settings.steady_s:g} s"

    def _begin(self, plan: ProbePlan, now: float) -> None:
        self.probe_at = now
        if plan.check is None:
            assert isinstance(plan.probe, TcpProbe)
            self.message = f"waiting for port {plan.probe.port} to accept connections"
        else:
            self.message = f"waiting for its {self._check} to succeed"
            self._count_from = now + max(plan.check.start_period_s, plan.check.interval_s)

    def stood_the_trial(self, now: float) -> None:
        assert self.steady_at is not None and now >= self.steady_at
        self.steady_at = None
        self._passed(now)

    def probe_sent(self) -> None:
        self.probe_at = None

    def healthy_for_s(self, now: float) -> float:
        return 0.0 if self.healthy_since is None else now - self.healthy_since

    def answered(self, verdict: Verdict, message: str, now: float) -> None:
        assert self.plan is not None
        self._attempts += 1
        match verdict:
            case Verdict.PASSED:
                self._passed(now)
            case Verdict.FAILED:
                self._failed(message, now)
        self.probe_at = self._next_probe_at(self.plan, now)

    def _passed(self, now: float) -> None:
        self._failures = 0
        self._ever_passed = True
        self.message = ""
        if self.health is not Health.HEALTHY:
            self.health = Health.HEALTHY
            self.healthy_since = now

    def _failed(self, message: str, now: float) -> None:
        assert self.plan is not None
        check = self.plan.check
        if check is None:
            return
        if self._counts(check, now):
            self._failures += 1
        if self._failures >= check.retries:
            self.health = Health.UNHEALTHY
            self.healthy_since = None
            self.message = f"{self._check} failed {self._failures} times in a row: {message}"
        else:
            self.message = f"{self._check} failed: {message}"

    def _counts(self, check: HealthCheck, now: float) -> bool:
        if self._ever_passed:
            return True
        if now < self._count_from:
            return False
        self._count_from = now + check.interval_s
        return True

    def _next_probe_at(self, plan: ProbePlan, now: float) -> float | None:
        if plan.check is None:
            return None if self._ever_passed else now + self._settings.readiness.delay_s(self._attempts)
        if self._ever_passed:
            return now + plan.check.interval_s
        return now + min(plan.check.start_interval_s, plan.check.interval_s)
