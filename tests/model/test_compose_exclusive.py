"""`x-swarmlet: exclusive`: one task, updated stop-first; what contradicts it is refused."""

import pytest
from compose_builders import a_file, a_service, the_error

from swarmlet.model.rollout import Order

EXCLUSIVE = "x-swarmlet: {exclusive: true}\n"


def test_an_exclusive_service_is_updated_stop_first() -> None:
    spec = a_service(EXCLUSIVE)

    assert spec.template.exclusive
    assert spec.rollout.update.order is Order.STOP_FIRST


def test_a_service_that_becomes_exclusive_gets_new_tasks() -> None:
    assert a_service(EXCLUSIVE).template.revision() != a_service().template.revision()
    assert a_service("x-swarmlet: {exclusive: false}").template.revision() == a_service().template.revision()


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        ("deploy: {mode: global}", "remove one of the two"),
        ("deploy: {replicas: 2}", "write 'replicas: 1'"),
        ("scale: 2", "write 'replicas: 1'"),
        ("deploy: {update_config: {order: start-first}}", "write 'order: stop-first'"),
        ("pid: host", "remove 'pid: host'"),
    ],
)
def test_what_contradicts_it_is_refused_where_it_says_exclusive(keys: str, remedy: str) -> None:
    error = the_error(a_file(EXCLUSIVE + keys))

    assert (error.line, error.column) == (4, 29)
    assert remedy in str(error)


def test_a_job_is_not_exclusive() -> None:
    error = the_error(a_file(EXCLUSIVE + "deploy: {mode: replicated-job}"))

    assert "can't be had for a job" in str(error)


def test_a_pod_has_no_exclusive_members() -> None:
    assert "can't be had in a pod" in str(the_error(a_file("x-swarmlet: {exclusive: true, pod: one}")))


def test_a_canary_would_run_two() -> None:
    error = the_error(a_file("x-swarmlet: {exclusive: true, rollout: {canary: {steps: [50%]}}}"))

    assert "remove 'rollout'" in str(error)
