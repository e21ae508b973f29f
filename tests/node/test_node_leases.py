"""Exclusive tasks on their node: nothing runs without a lease, and what loses its lease is stopped in time."""

from node_builders import NEVER, Bench, a_task, stopped

from swarmlet.model.exclusive import HELD_S, LAPSE_GRACE_S, STOP_AHEAD_S
from swarmlet.model.objects import Task
from swarmlet.model.observed import Phase
from swarmlet.model.spec import RestartPolicy
from swarmlet.node.task_events import Leased, Start, Stop
from swarmlet.runtime.interface import LAPSED


def an_exclusive_task(restart: RestartPolicy | None = None, grace_s: float = 10.0) -> Task:
    task = a_task(port=80, restart=restart or RestartPolicy(), grace_s=grace_s)
    return task.model_copy(update={"template": task.template.model_copy(update={"exclusive": True})})


def lease(bench: Bench, seconds: float = HELD_S) -> None:
    bench.feed(Leased(bench.now + seconds))


def running(bench: Bench) -> Bench:
    bench.assign(bench.task)
    lease(bench)
    bench.settle()
    assert bench.status.ready
    return bench


def test_without_a_lease_all_is_prepared_and_nothing_is_started() -> None:
    bench = Bench.of(an_exclusive_task()).run()

    assert bench.held is not None and not bench.engine_runs
    assert bench.status.phase is Phase.PENDING
    assert "waits for its lease" in bench.status.message

    lease(bench)
    bench.settle()
    assert bench.status.ready


def test_a_renewed_lease_changes_nothing() -> None:
    bench = running(Bench.of(an_exclusive_task()))
    published = len(bench.statuses)

    for _ in range(10):
        bench.pass_time(2.0)
        lease(bench)

    assert bench.engine_runs
    assert len(bench.statuses) == published


def test_one_that_loses_its_lease_is_withdrawn_and_stopped_before_its_guard_would_kill_it() -> None:
    bench = running(Bench.of(an_exclusive_task(grace_s=60)))
    until = bench.now + HELD_S

    bench.settle(HELD_S)

    stops = [(at, each) for at, each in zip(bench.effects_at, bench.effects, strict=True) if isinstance(each, Stop)]
    ((stopped_at, stop),) = stops
    assert stopped_at == until - STOP_AHEAD_S + bench.drain_s, "its proxies let go first"
    assert stopped_at + stop.grace_s <= until
    assert stop.grace_s == LAPSE_GRACE_S
    assert not bench.engine_runs
    assert bench.status.endpoints == ()


def test_one_that_lost_its_lease_starts_again_at_once_with_the_next_whatever_its_restart_policy() -> None:
    bench = running(Bench.of(an_exclusive_task(restart=NEVER)))
    bench.settle(HELD_S + 60)
    assert bench.status.phase is Phase.PENDING

    lease(bench)
    bench.settle()

    assert bench.status.ready
    assert bench.status.restarts == 0


def test_one_that_its_guard_killed_has_not_failed_either() -> None:
    bench = running(Bench.of(an_exclusive_task(restart=NEVER)))
    bench.pass_time(HELD_S - STOP_AHEAD_S)

    bench.operation = None
    bench.die(LAPSED)
    lease(bench)
    bench.settle(1)

    assert bench.status.ready


def test_a_task_that_ends_with_the_guards_status_while_it_has_a_lease_has_failed() -> None:
    bench = running(Bench.of(an_exclusive_task(restart=NEVER)))

    bench.pass_time(2)
    bench.die(LAPSED)
    bench.settle()

    assert bench.status.phase is Phase.EXITED


def test_a_lease_that_comes_while_it_is_being_stopped_lets_it_start_again() -> None:
    bench = running(Bench.of(an_exclusive_task()))
    bench.pass_time(HELD_S - STOP_AHEAD_S + bench.drain_s)
    assert isinstance(bench.operation, Stop)

    lease(bench)
    bench.settle()

    assert bench.status.ready
    assert sum(isinstance(effect, Start) for effect in bench.effects) == 2


def test_one_that_was_told_to_stop_has_its_whole_grace_period() -> None:
    bench = running(Bench.of(an_exclusive_task(grace_s=60)))

    bench.assign(stopped(bench.task))
    bench.settle(2)

    (stop,) = [each for each in bench.effects if isinstance(each, Stop)]
    assert stop.grace_s == 60
    assert bench.status.phase is Phase.STOPPED


def test_an_adopted_task_goes_on_with_the_lease_that_it_had() -> None:
    before = running(Bench.of(an_exclusive_task()))
    bench = Bench.of(before.task, absent=False)
    bench.held = before.held

    lease(bench, 5.0)
    bench.assign(bench.task)
    bench.settle()

    assert bench.status.ready
    assert not any(isinstance(effect, Start | Stop) for effect in bench.effects)
