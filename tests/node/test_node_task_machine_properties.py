"""Whatever happens in whatever order: what must hold at each step, and where it must end once all goes well again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from node_builders import ALWAYS, NEVER, ON_FAILURE, Bench, a_task, an_http_check, endpoints_of, stopped

from swarmlet.model.observed import Health, Phase, TaskStatus
from swarmlet.model.spec import HealthCheck, RestartPolicy
from swarmlet.node.health import Verdict
from swarmlet.node.task_events import Effect, ExitSeen, Failure, Found, Publish, RunProbe, StartSeen, Stop
from swarmlet.runtime.interface import Container, ContainerId, ContainerState

CHECKS = [None, an_http_check(retries=1), an_http_check(retries=2, interval_s=1.0)]
Action = Callable[["Hostile"], None]


@dataclass(slots=True)
class Hostile:
    """A bench whose every effect is checked, and which remembers what may be told late."""

    bench: Bench
    wanted: str = "none"
    withdrawn_at: float | None = None
    published: TaskStatus | None = None
    checked: int = 0
    told_late: list[ExitSeen] = field(default_factory=list)
    old_listings: list[Found] = field(default_factory=list)

    def check(self) -> None:
        while self.checked < len(self.bench.effects):
            self._check(self.bench.effects[self.checked], self.bench.effects_at[self.checked])
            self.checked += 1

    def _check(self, effect: Effect, at: float) -> None:
        match effect:
            case Publish():
                self._check_published(effect.status, at)
            case Stop():
                self._check_stop(at)
            case RunProbe():
                assert self.wanted == "run" and effect.endpoint is not None

    def _check_published(self, status: TaskStatus | None, at: float) -> None:
        assert status != self.published, "published without a change"
        if self.published is not None and self.published.endpoints and not (status and status.endpoints):
            self.withdrawn_at = at
        if status is not None and status.endpoints:
            assert self.wanted == "run"
            assert (status.phase, status.health) == (Phase.RUNNING, Health.HEALTHY)
        self.published = status

    def _check_stop(self, at: float) -> None:
        assert self.published is None or not self.published.endpoints, "stopped while in the proxies"
        if self.withdrawn_at is not None:
            assert at >= self.withdrawn_at + self.bench.drain_s, "stopped before proxies let go"
        if self.wanted == "run":
            assert self.published is not None and self.published.health is Health.UNHEALTHY


def _assign(wanted: str) -> Action:
    def act(world: Hostile) -> None:
        world.wanted = wanted
        task = world.bench.task
        world.bench.assign({"run": task, "stop": stopped(task), "gone": None}[wanted])

    return act


def _answer(world: Hostile) -> None:
    if world.bench.operation is not None:
        world.bench.answer()


def _refuse(failure: Failure, done: bool) -> Action:
    def act(world: Hostile) -> None:
        if world.bench.operation is not None:
            world.bench.refuse(failure, done=done and failure is Failure.UNCERTAIN)

    return act


def _probe(verdict: Verdict) -> Action:
    def act(world: Hostile) -> None:
        if world.bench.probe is not None:
            world.bench.answer_probe(verdict)

    return act


def _die(told: bool) -> Action:
    def act(world: Hostile) -> None:
        held = world.bench.held
        if held is not None and world.bench.engine_runs:
            world.told_late.append(ExitSeen(held.id, 1))
            world.bench.die(1, told=told)

    return act


def _tell_late(world: Hostile) -> None:
    if world.told_late:
        world.bench.feed(world.told_late[0])


def _list(world: Hostile) -> None:
    world.bench.resync()
    world.old_listings.append(Found(world.bench.held, world.bench.now))


def _list_late(world: Hostile) -> None:
    if world.old_listings:
        world.bench.feed(world.old_listings.pop(0))


def _tell_start(world: Hostile) -> None:
    if world.bench.held is not None:
        world.bench.feed(StartSeen(world.bench.held.id))


def _vanish(world: Hostile) -> None:
    world.bench.held = None


def _pass(seconds: float) -> Action:
    return lambda world: world.bench.pass_time(seconds)


ACTIONS: dict[str, Action] = {
    **{f"assign {wanted}": _assign(wanted) for wanted in ("run", "stop", "gone")},
    **{f"answer {n}": _answer for n in range(4)},
    **{f"refuse {failure} {done}": _refuse(failure, done) for failure in Failure for done in (True, False)},
    **{f"probe {verdict}": _probe(verdict) for verdict in Verdict},
    **{f"die {told}": _die(told) for told in (True, False)},
    "tell late": _tell_late,
    "list": _list,
    "list late": _list_late,
    "tell start": _tell_start,
    "vanish": _vanish,
    **{f"pass {seconds}": _pass(seconds) for seconds in (0.01, 0.2, 1.0, 3.0, 40.0)},
}


def _world(port: int | None, check: HealthCheck | None, policy: RestartPolicy, there: ContainerState | None) -> Hostile:
    task = a_task(port=port, check=check, restart=policy)
    bench = Bench.of(task, absent=there is None)
    if there is not None:
        endpoints = endpoints_of(task) if there is ContainerState.RUNNING else ()
        bench.held = Container(ContainerId("c0"), task.id, there, None, None, endpoints, "web:1")
    return Hostile(bench)


def _end_well(world: Hostile, wanted: str) -> None:
    """From here on the engine does what it is asked, and a listing comes by now and then."""
    _assign(wanted)(world)
    for _ in range(20):
        world.bench.settle(40.0)
        world.check()
        if not world.bench.finished:
            world.bench.resync()
    world.bench.settle(400.0)
    world.check()


@settings(max_examples=400, deadline=None)
@given(
    port=st.sampled_from([None, 80]),
    check=st.sampled_from(CHECKS),
    policy=st.sampled_from([ALWAYS, NEVER, ON_FAILURE, RestartPolicy(attempts_max=2)]),
    there=st.sampled_from([None, *ContainerState]),
    starts_well=st.booleans(),
    actions=st.lists(st.sampled_from(sorted(ACTIONS)), max_size=40),
    ending=st.sampled_from(["stop", "gone", "run"]),
)
def test_no_order_of_events_breaks_the_rules(
    port: int | None,
    check: HealthCheck | None,
    policy: RestartPolicy,
    there: ContainerState | None,
    starts_well: bool,
    actions: list[str],
    ending: str,
) -> None:
    world = _world(port, check, policy, there)
    _assign("run")(world)
    if starts_well:
        world.bench.settle(5.0)
    world.check()

    for name in actions:
        if world.bench.finished:
            break
        ACTIONS[name](world)
        world.check()
    if world.bench.finished:
        assert world.wanted == "gone"
        return
    _end_well(world, ending)

    match ending:
        case "stop":
            assert not world.bench.engine_runs and world.bench.status.phase is Phase.STOPPED
        case "gone":
            assert world.bench.finished and world.bench.held is None and world.bench.statuses[-1] is None
        case "run" if policy is ALWAYS:
            assert world.bench.engine_runs and world.bench.status.ready
            assert bool(world.bench.status.endpoints) == (port is not None or check is not None)
