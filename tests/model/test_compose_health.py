"""Health checks: commands of Compose, and probes by the node."""

import pytest
from compose_builders import a_file, a_template, the_error

from swarmlet.model.spec import CommandProbe, HealthCheck, HttpProbe, TcpProbe


@pytest.mark.parametrize(
    ("written", "argv"),
    [
        ("[CMD, curl, -f, http://localhost]", ("curl", "-f", "http://localhost")),
        ("[CMD-SHELL, curl -f localhost || exit 1]", ("/bin/sh", "-c", "curl -f localhost || exit 1")),
        ("curl -f localhost || exit 1", ("/bin/sh", "-c", "curl -f localhost || exit 1")),
    ],
)
def test_commands(written: str, argv: tuple[str, ...]) -> None:
    assert a_template(f"healthcheck: {{test: {written}}}").health_check == HealthCheck(probe=CommandProbe(argv=argv))


@pytest.mark.parametrize("written", ["{test: [NONE]}", "{disable: true}", "{test: x, disable: 'true'}"])
def test_no_check(written: str) -> None:
    assert a_template(f"healthcheck: {written}").health_check is None


def test_timings() -> None:
    check = a_template(
        """\
        healthcheck:
          test: x
          interval: 1m30s
          timeout: 10s
          retries: 5
          start_period: 40s
          start_interval: 100ms
        """
    ).health_check

    assert check is not None
    assert (check.interval_s, check.timeout_s, check.retries) == (90, 10, 5)
    assert (check.start_period_s, check.start_interval_s) == (40, 0.1)


def test_a_probe_by_the_node_over_http() -> None:
    check = a_template("x-swarmlet: {health: {http: {port: 8080, path: /healthz?full=1}}}").health_check

    assert check == HealthCheck(probe=HttpProbe(port=8080, path="/healthz?full=1"))


def test_a_probe_by_the_node_takes_the_timings_of_healthcheck() -> None:
    check = a_template("healthcheck: {interval: 1s}\nx-swarmlet: {health: {tcp: {port: 5432}}}").health_check

    assert check == HealthCheck(probe=TcpProbe(port=5432), interval_s=1)


def test_two_tests_are_one_too_many() -> None:
    error = the_error(a_file("healthcheck: {test: x}\nx-swarmlet: {health: {tcp: {port: 1}}}"))

    assert error.key_path == "services.web.x-swarmlet.health"
    assert "write only one of the two" in error.message


def test_two_probes_are_one_too_many() -> None:
    error = the_error(a_file("x-swarmlet: {health: {tcp: {port: 1}, http: {port: 1}}}"))

    assert "must have one probe" in error.message
