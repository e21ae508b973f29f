"""Back-off and the restart policy."""

from hypothesis import given
from hypothesis import strategies as st
from node_builders import ALWAYS, NEVER, ON_FAILURE, SETTINGS

from swarmlet.model.spec import RestartPolicy
from swarmlet.node.backoff import Backoff
from swarmlet.node.restarts import Restarts


def test_the_delay_between_restarts_doubles_from_100_ms() -> None:
    assert [SETTINGS.restart.delay_s(n) for n in range(1, 6)] == [0.1, 0.2, 0.4, 0.8, 1.6]


@given(first_s=st.floats(0.001, 10), factor=st.floats(1, 1e6), failures=st.integers(1, 10**9))
def test_a_delay_never_leaves_its_bounds_nor_shrinks(first_s: float, factor: float, failures: int) -> None:
    backoff = Backoff(first_s, first_s * factor)

    delay_s = backoff.delay_s(failures)

    assert first_s <= delay_s <= first_s * factor
    assert delay_s <= backoff.delay_s(failures + 1)


def _due_after(restarts: Restarts, policy: RestartPolicy, healthy_for_s: float = 0.0, failed: bool = True) -> float:
    restarts.ended(policy, failed, healthy_for_s, "exited with status 1", now=50.0)
    due_at = restarts.due_at()
    assert due_at is not None
    restarts.begun()
    return round(due_at - 50.0, 6)


def test_ten_minutes_of_health_wipe_the_slate() -> None:
    restarts = Restarts(SETTINGS)
    assert [_due_after(restarts, ALWAYS) for _ in range(3)] == [0.1, 0.2, 0.4]

    assert _due_after(restarts, ALWAYS, healthy_for_s=599.0) == 0.8
    assert _due_after(restarts, ALWAYS, healthy_for_s=600.0) == 0.1

    assert restarts.count == 5


def test_restarts_stop_when_the_policy_s_attempts_are_used_up() -> None:
    restarts = Restarts(SETTINGS)
    policy = RestartPolicy(attempts_max=2)
    _due_after(restarts, policy)
    _due_after(restarts, policy)

    restarts.ended(policy, True, 0.0, "exited with status 1", now=60.0)

    assert restarts.given_up
    assert restarts.message == "exited with status 1; all 2 restarts of its policy are used up"


def test_on_failure_leaves_a_task_that_ended_well() -> None:
    restarts = Restarts(SETTINGS)

    restarts.ended(ON_FAILURE, False, 0.0, "exited with status 0", now=60.0)

    assert restarts.given_up


def test_no_restart_where_the_policy_says_no() -> None:
    restarts = Restarts(SETTINGS)
    assert not restarts.allowed(NEVER)

    restarts.ended(NEVER, True, 0.0, "exited with status 1", now=60.0)

    assert restarts.given_up and not restarts.waiting
