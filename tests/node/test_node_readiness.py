"""Readiness, apart from liveness: it decides over connections and over nothing else."""

from node_builders import Bench, a_task, an_http_check

from swarmlet.model.objects import Task
from swarmlet.model.observed import Health, Phase
from swarmlet.model.spec import HealthCheck, HttpProbe, TcpProbe
from swarmlet.node.health import Verdict
from swarmlet.node.task_events import RunProbe, Stop

READINESS = HealthCheck(probe=HttpProbe(port=81, path="/ready"), interval_s=5.0, retries=2)


def a_task_with_readiness(check: HealthCheck | None = None) -> Task:
    task = a_task(port=80, check=check)
    return task.model_copy(update={"template": task.template.model_copy(update={"readiness": READINESS})})


def a_running_one(check: HealthCheck | None = None) -> Bench:
    """Healthy, and its readiness probe is out."""
    bench = Bench.of(a_task_with_readiness(check))
    bench.assign(bench.task)
    for _ in range(4):
        bench.answer()
    bench.answer_probe()
    return bench


def test_its_readiness_is_probed_beside_its_health() -> None:
    bench = Bench.of(a_task_with_readiness())
    bench.assign(bench.task)
    for _ in range(4):
        bench.answer()

    probes = [effect for effect in bench.effects if isinstance(effect, RunProbe)]
    assert [(probe.readiness, type(probe.probe)) for probe in probes] == [(False, TcpProbe), (True, HttpProbe)]
    assert probes[1].endpoint is not None
    assert probes[1].endpoint.target_port == 81


def test_a_healthy_task_gets_connections_only_when_it_is_ready() -> None:
    bench = a_running_one()
    assert (bench.status.phase, bench.status.health) == (Phase.RUNNING, Health.HEALTHY)
    assert not bench.status.ready
    assert bench.status.endpoints == ()
    assert bench.status.message == "waiting for its readiness check to succeed"

    bench.answer_readiness(Verdict.PASSED)

    assert bench.status.ready
    assert bench.status.endpoints
    assert bench.status.message == ""


def test_a_task_that_is_no_longer_ready_loses_its_connections_and_runs_on() -> None:
    bench = a_running_one()
    bench.answer_readiness(Verdict.PASSED)

    for _ in range(2):
        bench.pass_time(5.0)
        bench.answer_readiness(Verdict.FAILED, "busy")

    assert bench.status.endpoints == ()
    assert bench.status.message == "readiness check failed 2 times in a row: busy"
    assert bench.status.health is Health.HEALTHY
    bench.pass_time(3600.0)
    assert not any(isinstance(effect, Stop) for effect in bench.effects)
    assert bench.status.restarts == 0
    bench.answer_readiness(Verdict.PASSED)
    assert bench.status.ready


def test_an_unhealthy_task_is_restarted_although_it_says_that_it_is_ready() -> None:
    bench = a_running_one(an_http_check(retries=1))
    bench.answer_readiness(Verdict.PASSED)

    bench.pass_time(10.0)
    bench.answer_probe(Verdict.FAILED)
    bench.settle(2.0)

    assert bench.status.restarts == 1


def test_the_next_run_has_to_get_ready_anew() -> None:
    bench = a_running_one()
    bench.answer_readiness(Verdict.PASSED)
    bench.pass_time(5.0)
    bench.readiness_probe = None

    bench.die(1)
    bench.pass_time(0.1)
    bench.answer()
    bench.answer()
    bench.answer_probe()

    assert bench.status.health is Health.HEALTHY
    assert not bench.status.ready
