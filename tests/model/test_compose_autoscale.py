"""`x-swarmlet: autoscale:`: what is read, and what is refused with what to write instead."""

import pytest
from compose_builders import a_file, a_service, the_error

from swarmlet.model.autoscale import (
    SCALE_DOWN,
    SCALE_UP,
    Autoscale,
    PrometheusMetric,
    ScalePolicy,
    ScalingRules,
    Select,
)

RESERVED = "deploy: {resources: {reservations: {cpus: '0.5', memory: 256m}}}\n"


def test_the_shortest_form_has_the_defaults_of_kubernetes() -> None:
    service = a_service(RESERVED + "x-swarmlet: {autoscale: {max: 10, cpu: 70%}}")

    assert service.autoscale == Autoscale(replicas_min=1, replicas_max=10, cpu_percent=70)
    assert (
        service.autoscale.scale_up
        == SCALE_UP
        == ScalingRules(
            stabilization_s=0, policies=(ScalePolicy(percent=100, period_s=15), ScalePolicy(tasks=4, period_s=15))
        )
    )
    assert ScalingRules(stabilization_s=300, policies=(ScalePolicy(percent=100, period_s=15),)) == SCALE_DOWN
    assert service.replicas == 1


def test_every_key_is_taken() -> None:
    service = a_service(
        RESERVED
        + """\
x-swarmlet:
  autoscale:
    min: 2
    max: 10
    cpu: 70%
    memory: 80 %
    tolerance: 0
    metrics:
      - prometheus: {port: 9100, path: /m, name: jobs_waiting, labels: {queue: mail}, target_average: 12.5}
    scale_up: {stabilization: 10s, policies: [{tasks: 2, period: 1m}], select: min}
    scale_down: {select: disabled}
"""
    )

    metric = PrometheusMetric(port=9100, path="/m", name="jobs_waiting", labels={"queue": "mail"}, target_average=12.5)
    assert service.autoscale == Autoscale(
        replicas_min=2,
        replicas_max=10,
        cpu_percent=70,
        memory_percent=80,
        metrics=(metric,),
        tolerance=0,
        scale_up=ScalingRules(stabilization_s=10, policies=(ScalePolicy(tasks=2, period_s=60),), select=Select.MIN),
        scale_down=ScalingRules(stabilization_s=300, policies=SCALE_DOWN.policies, select=Select.DISABLED),
    )
    assert service.replicas == 2, "it begins with min"
    assert service.template.scraped_ports == (9100,)


def test_a_limit_serves_where_nothing_is_reserved() -> None:
    service = a_service("cpus: 0.5\nx-swarmlet: {autoscale: {max: 3, cpu: 50%}}\ndeploy: {replicas: 2}")

    assert service.autoscale is not None
    assert service.replicas == 2


def test_a_change_of_autoscaling_is_no_new_revision_unless_a_port_is_scraped() -> None:
    plain = a_service(RESERVED).template.revision()
    by_cpu = a_service(RESERVED + "x-swarmlet: {autoscale: {max: 3, cpu: 50%}}").template.revision()
    prometheus = "x-swarmlet: {autoscale: {max: 3, metrics: [prometheus: {port: 1, name: x, target_average: 1}]}}"

    assert by_cpu == plain
    assert a_service(RESERVED + prometheus).template.revision() != plain


def scaled(keys: str, beside: str = RESERVED) -> str:
    return beside + f"x-swarmlet: {{autoscale: {{{keys}}}}}"


METRIC = "port: 1, name: x, target_average: 1"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (scaled("cpu: 70%"), "has no 'max', write 'max: 10'"),
        (scaled("max: 3"), "has nothing to go by, write 'cpu: 70%', 'memory: 80%' or 'metrics:'"),
        (scaled("min: 5, max: 3, cpu: 70%"), "max is 3 and min is 5, write a max that is at least min"),
        (scaled("min: 0, max: 3, cpu: 70%"), "cannot be 0, write 1 to 10000"),
        (scaled("max: 3, cpu: 70"), "cannot be '70', write a share of the reservation like 70%"),
        (scaled("max: 3, cpus: 70%"), "unknown key, write 'cpu' instead"),
        (scaled("max: 3, cpu: 70%", ""), "nothing is: write 'cpus: 0.5' at deploy.resources.reservations (or limits)"),
        (
            scaled("max: 3, memory: 70%", "cpus: 1\n"),
            "memory is a share of what is reserved, and nothing is: write 'memory: 256m'",
        ),
        (
            scaled("max: 3, cpu: 70%", "cpus: 1\ndeploy: {mode: global}\n"),
            "a global service has one task on every node",
        ),
        (
            scaled("min: 2, max: 3, cpu: 70%", "cpus: 1\ndeploy: {replicas: 7}\n"),
            "the service begins with 7 replicas, write 2 to 3 at deploy.replicas, or remove that",
        ),
        (
            "cpus: 1\nx-swarmlet: {exclusive: true, autoscale: {max: 3, cpu: 70%}}",
            "an exclusive service has one task at most, remove this or 'exclusive'",
        ),
        (scaled("max: 3, metrics: []"), "is empty, write '- prometheus:"),
        (scaled("max: 3, metrics: [{}]"), "has no 'prometheus', write 'prometheus: {port: 9100, name: …"),
        (scaled("max: 3, metrics: [prometheus: {port: 1, name: x}]"), "has no 'target_average', write"),
        (scaled(f"max: 3, metrics: [prometheus: {{{METRIC}, path: x}}]"), "is no path, write one that begins with /"),
        (
            scaled("max: 3, metrics: [prometheus: {port: 1, name: a-b, target_average: 1}]"),
            "'a-b' is no metric's name, write one like http_requests_total",
        ),
        (scaled(f"max: 3, metrics: [prometheus: {{{METRIC}, labels: {{a-b: c}}}}]"), "'a-b' is no label"),
        (scaled(f"max: 3, metrics: [{', '.join(['prometheus: {' + METRIC + '}'] * 9)}]"), "has more than 8 metrics"),
        (scaled("max: 3, cpu: 70%, tolerance: 2"), "cannot be '2', write a number above 0 and up to 1"),
        (scaled("max: 3, cpu: 70%, scale_down: {stabilization: 2h}"), "7200 s is too long, write at most 60m"),
        (scaled("max: 3, cpu: 70%, scale_down: {select: off}"), "cannot be 'off', write max or min or disabled"),
        (scaled("max: 3, cpu: 70%, scale_up: {policies: []}"), "has 0 policies, write 1 to 8"),
        (
            scaled("max: 3, cpu: 70%, scale_up: {policies: [{tasks: 1, percent: 2}]}"),
            "must say one of the two, write 'percent: 100' or 'tasks: 4'",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_write(keys: str, message: str) -> None:
    assert message in str(the_error(a_file(keys)))
