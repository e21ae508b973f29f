"""One task's life, told step by step against an engine that does what the test says."""

import pytest
from node_builders import NEVER, ON_FAILURE, Bench, a_task, an_http_check, stopped

from swarmlet.model.container import PullPolicy
from swarmlet.model.observed import Health, Phase
from swarmlet.model.spec import RestartPolicy
from swarmlet.node.health import Verdict
from swarmlet.node.settings import NodeSettings
from swarmlet.node.task_events import (
    Create,
    EnsureImage,
    ExitSeen,
    Failure,
    Found,
    Inspect,
    Publish,
    Remove,
    Start,
    StartReturned,
    StartSeen,
    Stop,
)
from swarmlet.runtime.interface import Container, ContainerId, ContainerState


def test_a_new_task_is_pulled_created_started_and_serves_once_its_port_answers() -> None:
    bench = Bench.of(a_task(port=80))

    bench.assign(bench.task)
    assert bench.status.phase is Phase.PULLING
    bench.answer()
    assert bench.operation == Create(bench.task) and bench.status.phase is Phase.STARTING
    bench.answer()
    bench.answer()
    assert bench.operation == Inspect(), "its addresses are not known yet"
    assert bench.status.phase is Phase.RUNNING and bench.status.endpoints == ()
    bench.answer()
    bench.answer_probe(Verdict.FAILED)
    assert bench.status.message == "waiting for port 80 to accept connections"
    bench.pass_time(0.05)
    bench.answer_probe(Verdict.PASSED)

    assert bench.status.health is Health.HEALTHY
    assert [endpoint.target_port for endpoint in bench.status.endpoints] == [80]
    assert bench.machine.wake_at is None


def test_a_task_without_ports_needs_no_look_and_no_probe() -> None:
    bench = Bench.of(a_task()).run()

    assert bench.status.ready
    assert [type(effect) for effect in bench.effects if not isinstance(effect, Publish)] == [EnsureImage, Create, Start]


def test_a_task_without_ports_is_ready_when_it_has_run_steadily_and_never_in_a_crash_loop() -> None:
    bench = Bench.of(a_task(), settings=NodeSettings(steady_s=1.0)).run()

    for _ in range(4):
        assert bench.status.phase is Phase.RUNNING
        bench.pass_time(0.9)
        bench.die(3)
        bench.settle()
        bench.pass_time(bench.machine.wake_at - bench.now if bench.machine.wake_at else 0.0)
        bench.settle()
    assert not any(status.ready for status in bench.statuses if status)
    bench.pass_time(1.0)
    assert bench.status.ready and bench.status.restarts == 4


def test_a_task_without_ports_that_has_run_steadily_is_ready_again_as_soon_as_it_is_back() -> None:
    bench = Bench.of(a_task(), settings=NodeSettings(steady_s=1.0)).run()
    bench.pass_time(60.0)

    for ready in (True, False):
        bench.die(137)
        bench.settle()
        bench.pass_time(bench.machine.wake_at - bench.now if bench.machine.wake_at else 0.0)
        bench.settle()
        assert bench.status.phase is Phase.RUNNING
        assert bench.status.ready is ready, "a run that did not last proves nothing"


def test_an_image_that_cannot_be_had_is_told_in_the_engine_s_words_and_tried_again() -> None:
    bench = Bench.of(a_task())
    bench.assign(bench.task)

    for delay_s in (1.0, 2.0, 4.0):
        bench.refuse(Failure.IMAGE, "manifest unknown")
        assert (bench.status.phase, bench.status.message) == (Phase.PENDING, "manifest unknown")
        bench.pass_time(delay_s - 0.01)
        assert bench.operation is None
        bench.pass_time(0.02)
        assert bench.operation == EnsureImage("web:1")
    bench.settle()

    assert bench.status.ready and bench.status.message == ""


def test_an_image_is_asked_for_as_its_pull_policy_says() -> None:
    task = a_task()
    always = task.template.model_copy(update={"pull_policy": PullPolicy.ALWAYS})
    bench = Bench.of(task.model_copy(update={"template": always}))

    bench.assign(bench.task)

    assert bench.operation == EnsureImage("web:1", PullPolicy.ALWAYS)


def test_told_to_stop_while_pulling_calls_the_pull_back() -> None:
    bench = Bench.of(a_task())
    bench.assign(bench.task)

    bench.assign(stopped(bench.task))

    assert bench.operation is None
    assert (bench.status.phase, bench.status.message) == (Phase.STOPPED, "scaled down")


def test_a_killed_container_is_started_again_in_place_after_100_ms() -> None:
    bench = Bench.of(a_task(port=80)).run()
    bench.pass_time(60.0)

    bench.die(137)
    assert bench.status.phase is Phase.BACKOFF and bench.status.endpoints == ()
    assert bench.status.message == "exited with status 137; started again 0.1 s later"
    bench.pass_time(0.1)
    assert bench.operation == Start(ContainerId("c1")), "nothing is asked before"
    bench.settle()

    assert bench.status.ready and bench.status.endpoints
    assert (bench.status.restarts, bench.status.exit_code) == (1, 137)
    assert bench.made == 1


def test_a_crash_loop_slows_down_and_the_delay_is_forgotten_after_ten_minutes_of_health() -> None:
    bench = Bench.of(a_task()).run()

    for delay_s in (0.1, 0.2, 0.4):
        bench.pass_time(5.0)
        bench.die(1)
        bench.pass_time(delay_s - 0.001)
        assert bench.operation is None
        bench.pass_time(0.002)
        bench.settle()
    bench.pass_time(600.0)
    bench.die(1)

    assert bench.status.message.endswith("started again 0.1 s later")


def test_an_exit_told_right_after_a_start_is_looked_into_since_it_may_be_old() -> None:
    bench = Bench.of(a_task()).run()
    assert bench.held is not None

    bench.feed(ExitSeen(bench.held.id, 1))
    assert bench.operation == Inspect()
    bench.answer()

    assert bench.status.ready and bench.status.restarts == 0


def test_an_exit_during_the_start_is_not_overlooked() -> None:
    bench = Bench.of(a_task())
    bench.assign(bench.task)
    bench.answer()
    bench.answer()
    assert isinstance(bench.operation, Start)

    bench.carry_out(bench.operation)
    bench.die(1)
    bench.operation = None
    bench.feed(StartReturned())
    bench.answer()

    assert bench.status.phase is Phase.BACKOFF and bench.status.exit_code == 1


def test_an_exit_during_the_first_look_makes_it_look_again() -> None:
    bench = Bench.of(a_task(), absent=False)
    bench.assign(bench.task)
    assert bench.operation == Inspect()
    before = Container(ContainerId("c9"), bench.task.id, ContainerState.RUNNING, None, 1.0, (), "web:1")

    bench.feed(ExitSeen(ContainerId("c9"), 1))
    bench.held = before
    bench.answer()
    assert bench.operation == Inspect()
    bench.die(1, told=False)
    bench.answer()

    assert bench.status.phase is Phase.BACKOFF


def test_a_start_that_the_engine_refuses_counts_as_an_exit() -> None:
    bench = Bench.of(a_task())
    bench.assign(bench.task)
    bench.answer()
    bench.answer()

    bench.refuse(Failure.REFUSED, "exec: no-such-file: not found")

    assert bench.status.phase is Phase.BACKOFF
    assert bench.status.message == "exec: no-such-file: not found; started again 0.1 s later"
    bench.pass_time(0.1)
    assert isinstance(bench.operation, Start)


@pytest.mark.parametrize(
    ("policy", "exit_code", "phase"),
    [(NEVER, 1, Phase.EXITED), (ON_FAILURE, 0, Phase.EXITED), (ON_FAILURE, 1, Phase.BACKOFF)],
)
def test_the_restart_policy_decides_what_an_exit_means(policy: RestartPolicy, exit_code: int, phase: Phase) -> None:
    bench = Bench.of(a_task(restart=policy)).run()
    bench.pass_time(5.0)

    bench.die(exit_code)

    assert (bench.status.phase, bench.status.exit_code) == (phase, exit_code)


def test_told_to_stop_leaves_the_proxies_first_drains_and_is_stopped_after() -> None:
    bench = Bench.of(a_task(port=80, grace_s=7.0), drain_s=1.0).run()
    assert bench.status.endpoints

    bench.assign(stopped(bench.task))
    assert (bench.status.phase, bench.status.endpoints) == (Phase.STOPPING, ())
    bench.pass_time(0.9)
    assert bench.operation is None and bench.engine_runs
    bench.pass_time(0.2)
    assert bench.operation == Stop(ContainerId("c1"), 7.0)
    bench.settle()

    assert (bench.status.phase, bench.status.exit_code) == (Phase.STOPPED, 143)
    assert bench.status.message == "scaled down"
    assert bench.held is not None, "kept for its logs"


def test_a_task_that_never_served_is_stopped_without_a_drain() -> None:
    bench = Bench.of(a_task(port=80), drain_s=1.0)
    bench.verdict = Verdict.FAILED
    bench.run()

    bench.assign(stopped(bench.task))

    assert isinstance(bench.operation, Stop)


def test_told_to_stop_while_starting_is_stopped_once_started() -> None:
    bench = Bench.of(a_task(port=80))
    bench.assign(bench.task)
    bench.answer()
    bench.answer()

    bench.assign(stopped(bench.task))
    assert bench.status.phase is Phase.STOPPING and isinstance(bench.operation, Start)
    bench.answer()

    assert isinstance(bench.operation, Stop)


def test_a_task_whose_object_is_gone_is_stopped_and_removed_and_forgotten() -> None:
    bench = Bench.of(a_task(port=80)).run()

    bench.assign(None)
    bench.settle(2.0)

    assert bench.phases[-2:] == [Phase.STOPPING, Phase.STOPPED]
    assert bench.held is None and bench.finished and bench.statuses[-1] is None


def test_a_stopped_task_keeps_its_container_until_its_object_is_gone() -> None:
    bench = Bench.of(a_task()).run()
    bench.assign(stopped(bench.task))
    bench.settle()
    assert bench.held is not None

    bench.assign(None)

    assert isinstance(bench.operation, Remove)
    bench.settle()
    assert bench.finished


def test_a_container_without_a_task_object_is_stopped_and_removed_without_a_word() -> None:
    bench = Bench.of(a_task(), absent=False)
    bench.held = Container(ContainerId("c9"), bench.task.id, ContainerState.RUNNING, None, 1.0, (), "web:1")

    bench.feed(Found(bench.held, bench.now))
    assert isinstance(bench.operation, Stop)
    bench.settle()

    assert bench.held is None and bench.finished and bench.statuses == []


def test_a_running_container_is_adopted_without_a_restart_and_probed_anew() -> None:
    first = Bench.of(a_task(port=80)).run()
    bench = Bench.of(first.task, absent=False)
    bench.held = first.held

    bench.assign(bench.task)
    bench.answer()
    assert (bench.status.phase, bench.status.health) == (Phase.RUNNING, Health.UNKNOWN)
    bench.answer_probe(Verdict.PASSED)

    assert bench.status.ready and bench.status.endpoints and bench.status.restarts == 0
    assert not any(isinstance(effect, Start | Stop | Create) for effect in bench.effects)


def test_a_container_that_ended_while_nobody_watched_counts_as_an_exit() -> None:
    bench = Bench.of(a_task(), absent=False)
    bench.held = Container(ContainerId("c9"), bench.task.id, ContainerState.EXITED, 3, 1.0, (), "web:1")

    bench.assign(bench.task)
    bench.answer()

    assert (bench.status.phase, bench.status.exit_code) == (Phase.BACKOFF, 3)


def test_an_unhealthy_task_leaves_the_proxies_at_once_and_is_restarted_after_the_drain() -> None:
    bench = Bench.of(a_task(port=80, check=an_http_check(interval_s=10, retries=2)), drain_s=1.0).run()
    bench.pass_time(10.0)
    bench.answer_probe(Verdict.FAILED, "GET / answered 500")
    assert bench.status.ready, "one failure is none"
    bench.pass_time(10.0)

    bench.answer_probe(Verdict.FAILED, "GET / answered 500")
    assert (bench.status.phase, bench.status.health) == (Phase.RUNNING, Health.UNHEALTHY)
    assert bench.status.endpoints == () and bench.operation is None
    bench.pass_time(1.0)
    assert isinstance(bench.operation, Stop)
    bench.answer()
    bench.answer()
    assert bench.status.phase is Phase.BACKOFF
    assert bench.status.message.startswith("health check failed 2 times in a row: GET / answered 500; started again")
    bench.settle(1.0)

    assert bench.status.ready and bench.status.restarts == 1 and bench.made == 1


def test_an_unhealthy_task_that_would_not_be_restarted_is_left_running_out_of_the_proxies() -> None:
    bench = Bench.of(a_task(port=80, check=an_http_check(retries=1), restart=NEVER)).run()
    bench.pass_time(10.0)
    bench.answer_probe(Verdict.FAILED)

    bench.pass_time(5.0)

    assert bench.status.health is Health.UNHEALTHY and bench.operation is None


def test_an_engine_that_is_away_changes_neither_health_nor_endpoints() -> None:
    bench = Bench.of(a_task(port=80)).run()
    assert bench.held is not None
    bench.feed(ExitSeen(bench.held.id, 1))  # too early to be believed: it is looked into
    served = bench.status.endpoints

    for delay_s in (0.5, 1.0, 2.0):
        bench.refuse(Failure.UNCERTAIN, "podman can't be reached: connection refused")
        assert bench.status.ready and bench.status.endpoints == served
        assert bench.status.message == "podman can't be reached: connection refused"
        bench.pass_time(delay_s)
        assert bench.operation == Inspect()
    bench.answer()

    assert bench.status.ready and bench.status.message == ""


@pytest.mark.parametrize("done", [True, False])
def test_after_an_unanswered_start_it_looks_before_it_acts(done: bool) -> None:
    bench = Bench.of(a_task())
    bench.assign(bench.task)
    bench.answer()
    bench.answer()

    bench.refuse(Failure.UNCERTAIN, "no answer", done=done)
    assert bench.status.phase is Phase.STARTING
    bench.pass_time(0.5)
    assert bench.operation == Inspect()
    bench.answer()

    assert isinstance(bench.operation, Start) is not done
    bench.settle()
    assert bench.status.ready and bench.made == 1


def test_a_vanished_container_is_made_anew() -> None:
    bench = Bench.of(a_task(port=80)).run()
    bench.held = None

    bench.resync()
    assert bench.status.phase is Phase.BACKOFF and bench.status.message.startswith("its container is gone")
    bench.settle(1.0)

    assert bench.status.ready and bench.made == 2


def test_a_listing_older_than_what_happened_since_is_not_believed() -> None:
    bench = Bench.of(a_task())
    asked_at = bench.now
    bench.now += 0.5
    bench.run()

    bench.feed(Found(None, asked_at))

    assert bench.status.ready


def test_a_listing_finds_the_exit_that_no_event_told() -> None:
    bench = Bench.of(a_task()).run()
    bench.die(9, told=False)

    bench.resync()

    assert (bench.status.phase, bench.status.exit_code) == (Phase.BACKOFF, 9)


def test_a_container_that_somebody_else_started_is_looked_at() -> None:
    bench = Bench.of(a_task(restart=NEVER)).run()
    bench.pass_time(5.0)
    bench.die(0)
    assert bench.status.phase is Phase.EXITED and bench.held is not None
    bench.carry_out(Start(bench.held.id))

    bench.feed(StartSeen(bench.held.id))
    bench.answer()

    assert bench.status.ready


def test_a_stop_that_the_engine_only_claims_is_repeated_without_a_hot_loop() -> None:
    bench = Bench.of(a_task()).run()
    running = bench.held
    bench.assign(stopped(bench.task))

    bench.answer()
    bench.held = running
    bench.answer()
    assert bench.operation is None and bench.status.phase is Phase.STOPPING
    bench.pass_time(0.5)

    assert isinstance(bench.operation, Stop)


def test_a_late_answer_of_a_probe_of_the_run_before_is_ignored() -> None:
    bench = Bench.of(a_task(port=80))
    bench.assign(bench.task)
    for _ in range(4):
        bench.answer()
    late = bench.probe
    assert late is not None
    bench.pass_time(3.0)
    bench.die(1)
    bench.pass_time(0.1)
    bench.answer()
    bench.answer()
    assert bench.probe is not None and bench.probe.run != late.run

    bench.probe = late
    bench.answer_probe(Verdict.PASSED)

    assert bench.status.health is Health.UNKNOWN


def test_a_long_message_is_cut_to_what_a_datagram_can_carry() -> None:
    bench = Bench.of(a_task())
    bench.assign(bench.task)

    bench.refuse(Failure.IMAGE, "line one\n" + "x" * 5000)

    assert bench.status.message.startswith("line one xxx") and len(bench.status.message) == 400
