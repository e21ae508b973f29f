"""Back-off and the restart policy."""

from hypothesis import given
from hypothesis import strategies as st
from node_builders import ALWAYS, NEVER, ON_FAILURE, SETTINGS

from swarmlet.model.ids import TaskId
from swarmlet.model.spec import RestartPolicy
from swarmlet.node.backoff import Backoff
from swarmlet.node.restarts import Restarts
from swarmlet.node.settings import NodeSettings

TASK = TaskId("t1")


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
    restarts = Restarts(SETTINGS, TASK)
    assert [_due_after(restarts, ALWAYS) for _ in range(3)] == [0.1, 0.2, 0.4]

    assert _due_after(restarts, ALWAYS, healthy_for_s=599.0) == 0.8
    assert _due_after(restarts, ALWAYS, healthy_for_s=600.0) == 0.1

    assert restarts.count == 5


def test_restarts_stop_when_the_policy_s_attempts_are_used_up() -> None:
    restarts = Restarts(SETTINGS, TASK)
    policy = RestartPolicy(attempts_max=2)
    _due_after(restarts, policy)
    _due_after(restarts, policy)

    restarts.ended(policy, True, 0.0, "exited with status 1", now=60.0)

    assert restarts.given_up
    assert restarts.message == "exited with status 1; all 2 restarts of its policy are used up"


def test_on_failure_leaves_a_task_that_ended_well() -> None:
    restarts = Restarts(SETTINGS, TASK)

    restarts.ended(ON_FAILURE, False, 0.0, "exited with status 0", now=60.0)

    assert restarts.given_up


def test_no_restart_where_the_policy_says_no() -> None:
    restarts = Restarts(SETTINGS, TASK)
    assert not restarts.allowed(NEVER)

    restarts.ended(NEVER, True, 0.0, "exited with status 1", now=60.0)

    assert restarts.given_up and not restarts.waiting


def test_tasks_that_fail_together_do_not_come_back_together() -> None:
    settings = NodeSettings()
    delays = [
        [_due_after(restarts, ALWAYS) for _ in range(5)]
        for restarts in (Restarts(settings, TaskId(f"t{number}")) for number in range(20))
    ]

    for in_a_row, due in zip((0.1, 0.2, 0.4, 0.8, 1.6), zip(*delays, strict=True), strict=True):
        assert len(set(due)) > 15
        assert all(0.8 * in_a_row <= delay_s <= 1.2 * in_a_row for delay_s in due)


def test_a_task_that_fails_ten_times_in_a_row_is_parked_with_a_reason() -> None:
    restarts = Restarts(SETTINGS, TASK)
    for _ in range(9):
        _due_after(restarts, ALWAYS)
        assert not restarts.parked

    assert _due_after(restarts, ALWAYS) == 1800.0
    assert restarts.parked
    assert restarts.message == ("exited with status 1; parked after 10 failures in a row, tried again 30 min later")
    assert _due_after(restarts, ALWAYS, healthy_for_s=600.0) == 0.1
    assert not restarts.parked


def test_a_program_that_cant_be_run_at_all_is_parked_sooner() -> None:
    restarts = Restarts(SETTINGS, TASK)
    for attempt in range(1, 5):
        restarts.ended(ALWAYS, True, 0.0, "exec: no-such-file: not found", now=50.0, hopeless=True)
        restarts.begun()
        assert restarts.parked is (attempt == 4)


def test_a_task_that_ends_well_again_and_again_is_never_parked() -> None:
    restarts = Restarts(SETTINGS, TASK)

    assert [_due_after(restarts, ALWAYS, failed=False) for _ in range(20)][-1] == 300.0
    assert not restarts.parked
