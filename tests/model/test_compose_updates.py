"""How a service is updated: update_config, rollback_config, and `x-swarmlet: rollout:` and `readiness:`."""

import pytest
from compose_builders import a_file, a_service, the_error

from swarmlet.model.rollout import Canary, FailureAction, Order, RolloutPolicy, UpdatePolicy
from swarmlet.model.spec import HealthCheck, HttpProbe


def test_without_an_update_config_a_failure_is_rolled_back_and_a_third_is_replaced_at_a_time() -> None:
    policy = a_service().rollout

    assert policy == RolloutPolicy()
    assert policy.update.order is Order.START_FIRST
    assert policy.update.failure_action is FailureAction.ROLLBACK
    assert [policy.update.at_once(wanted) for wanted in (0, 1, 3, 4, 30)] == [1, 1, 1, 2, 10]


def test_in_an_update_config_composes_own_defaults_hold() -> None:
    update = a_service("deploy: {update_config: {delay: 5s}}").rollout.update

    assert update == UpdatePolicy(
        order=Order.STOP_FIRST, parallelism=1, delay_s=5.0, failure_action=FailureAction.PAUSE
    )


def test_every_key_of_an_update_config_is_obeyed() -> None:
    update = a_service(
        "deploy:\n  update_config: {order: start-first, parallelism: 0, delay: 1m, monitor: 10s,"
        " max_failure_ratio: 0.2, failure_action: rollback}"
    ).rollout.update

    assert update == UpdatePolicy(
        order=Order.START_FIRST, parallelism=0, delay_s=60.0, monitor_s=10.0, failure_ratio_max=0.2
    )
    assert update.at_once(7) == 7


def test_a_rollback_goes_as_the_update_unless_it_is_configured_and_is_not_rolled_back_itself() -> None:
    unsaid = a_service("deploy: {update_config: {parallelism: 2, failure_action: rollback}}").rollout
    said = a_service("deploy: {rollback_config: {parallelism: 3, order: start-first}}").rollout

    assert unsaid.paced(is_rollback=True).parallelism == 2
    assert unsaid.paced(is_rollback=True).failure_action is FailureAction.PAUSE
    assert said.paced(is_rollback=True).parallelism == 3
    assert said.paced(is_rollback=False) == UpdatePolicy()


@pytest.mark.parametrize(("hold", "hold_s"), [("hold: 30s", 30.0), ("hold: manual", None), ("", None)])
def test_a_canary_has_steps_and_a_hold(hold: str, hold_s: float | None) -> None:
    policy = a_service(f'x-swarmlet: {{rollout: {{canary: {{steps: [10%, "50%"], {hold}}}}}}}').rollout

    assert policy.canary == Canary(steps=(10, 50), hold_s=hold_s)


def test_blue_green_patience_and_deadline_are_read() -> None:
    policy = a_service("x-swarmlet: {rollout: {strategy: blue-green, patience: 3s, deadline: 1m}}").rollout

    assert (policy.blue_green, policy.patience_s, policy.deadline_s) == (True, 3.0, 60.0)


def test_a_readiness_probe_stands_beside_the_health_check() -> None:
    template = a_service(
        "healthcheck: {test: [CMD, check]}\n"
        "x-swarmlet: {readiness: {http: {port: 80, path: /ready}, interval: 1s, retries: 1}}"
    ).template

    assert template.health_check is not None
    assert template.readiness == HealthCheck(
        probe=HttpProbe(port=80, path="/ready"), interval_s=1.0, timeout_s=5.0, retries=1
    )


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        ("{canary: {steps: [50%, 10%]}}", "must rise from step to step"),
        ("{canary: {steps: []}}", "has 0 steps, write 1 to 20"),
        ("{canary: {steps: [0%]}}", "cannot be '0%', write a share of the tasks from 1% to 100%"),
        ("{canary: {steps: [10]}}", "cannot be '10', write a share"),
        ("{canary: {hold: 1s}}", "has no 'steps', write 'steps: [10%, 50%]'"),
        ("{canary: {steps: [10%]}, strategy: blue-green}", "remove one of the two"),
        ("{strategy: big-bang}", "cannot be 'big-bang', write rolling or blue-green"),
        ("{deadline: 0s}", "must be more than 0"),
    ],
)
def test_a_rollout_that_cant_be_is_refused_with_what_to_write(rollout: str, message: str) -> None:
    assert message in str(the_error(a_file(f"x-swarmlet: {{rollout: {rollout}}}")))
