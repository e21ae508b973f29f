"""When a running task is healthy, and when its next probe is due."""

from node_builders import SETTINGS, a_task, an_http_check

from swarmlet.model.observed import Health
from swarmlet.model.spec import HealthCheck, TcpProbe
from swarmlet.node.health import HealthTracker, Verdict, plan_of
from swarmlet.node.settings import NodeSettings


def _tracker(port: int | None = None, check: HealthCheck | None = None) -> HealthTracker:
    return HealthTracker(plan_of(a_task(port=port, check=check).template, SETTINGS), SETTINGS, now=0.0)


def _fail_until(health: HealthTracker, end: float) -> list[float]:
    """All probes fail until then; returns when they were sent."""
    sent: list[float] = []
    while health.probe_at is not None and health.probe_at <= end:
        now = health.probe_at
        sent.append(round(now, 3))
        health.probe_sent()
        health.answered(Verdict.FAILED, "no answer", now)
    return sent


def test_nothing_to_be_probed_by_is_healthy_when_it_has_run_steadily() -> None:
    health = HealthTracker(None, NodeSettings(steady_s=1.0), now=5.0)

    assert (health.health, health.probe_at, health.steady_at) == (Health.UNKNOWN, None, 6.0)
    health.stood_the_trial(6.0)

    assert (health.health, health.message, health.steady_at) == (Health.HEALTHY, "", None)
    assert health.healthy_for_s(7.0) == 1.0


def test_a_proven_run_that_nothing_probes_is_healthy_at_once() -> None:
    assert HealthTracker(None, NodeSettings(), now=5.0, proven=True).health is Health.HEALTHY


def test_ports_without_a_check_are_tried_quickly_then_slower_until_one_connects() -> None:
    health = _tracker(port=80)
    assert health.plan is not None and health.plan.probe == TcpProbe(port=80)
    assert health.message == "waiting for port 80 to accept connections"

    assert _fail_until(health, 1.0) == [0.0, 0.05, 0.15, 0.35, 0.75]
    assert health.health is Health.UNKNOWN
    health.answered(Verdict.PASSED, "", 2.0)

    assert health.health is Health.HEALTHY
    assert health.probe_at is None, "readiness is no liveness"
    assert health.message == ""


def test_a_task_that_never_becomes_healthy_is_condemned_no_sooner_than_by_compose_rules() -> None:
    health = _tracker(check=an_http_check(interval_s=10, retries=3, start_period_s=0, start_interval_s=0.5))

    sent = _fail_until(health, 29.0)
    assert sent[:3] == [0.0, 0.5, 1.0], "quick until the first success"
    assert health.health is Health.UNKNOWN
    _fail_until(health, 30.5)

    assert health.health is Health.UNHEALTHY
    assert health.message == "health check failed 3 times in a row: no answer"


def test_failures_within_the_start_period_do_not_count() -> None:
    health = _tracker(check=an_http_check(interval_s=1, retries=1, start_period_s=60))

    _fail_until(health, 59.4)
    assert health.health is Health.UNKNOWN
    _fail_until(health, 61.0)

    assert health.health is Health.UNHEALTHY


def test_after_a_success_failures_in_a_row_count_at_each_interval() -> None:
    health = _tracker(check=an_http_check(interval_s=10, retries=3, start_period_s=60))
    health.answered(Verdict.PASSED, "", 1.0)
    assert health.probe_at == 11.0

    for now in (11.0, 21.0):
        health.answered(Verdict.FAILED, "no answer", now)
    health.answered(Verdict.PASSED, "", 31.0)
    for now in (41.0, 51.0):
        health.answered(Verdict.FAILED, "no answer", now)
    assert health.health is Health.HEALTHY
    health.answered(Verdict.FAILED, "no answer", 61.0)

    assert health.health is Health.UNHEALTHY
    assert health.healthy_for_s(61.0) == 0.0


def test_a_probe_that_could_not_be_carried_out_says_nothing() -> None:
    health = _tracker(check=an_http_check(interval_s=10, retries=1))
    health.answered(Verdict.PASSED, "", 1.0)

    for now in (11.0, 21.0, 31.0):
        health.answered(Verdict.INCONCLUSIVE, "podman can't be reached", now)

    assert health.health is Health.HEALTHY
    assert health.probe_at == 41.0
    assert health.healthy_for_s(31.0) == 30.0
