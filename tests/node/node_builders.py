"""Tasks, and a bench that runs one `TaskMachine` against an engine that does what the test says, in virtual time."""

from dataclasses import dataclass, field, replace

from swarmlet.model.ids import NodeId, RevisionHash, ServiceId, TaskId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Endpoint, Health, Phase, TaskStatus
from swarmlet.model.spec import (
    HealthCheck,
    HttpProbe,
    PublishedPort,
    RestartCondition,
    RestartPolicy,
    TaskTemplate,
)
from swarmlet.node.health import Verdict
from swarmlet.node.settings import NodeSettings
from swarmlet.node.task_events import (
    Assigned,
    CancelOperation,
    Create,
    Created,
    Effect,
    EnsureImage,
    Event,
    ExitSeen,
    Failure,
    Finished,
    Found,
    ImageReady,
    Inspect,
    Inspected,
    OperationEffect,
    OperationFailed,
    ProbeAnswered,
    Publish,
    Remove,
    RemoveReturned,
    RunProbe,
    Start,
    StartReturned,
    Stop,
    StopReturned,
    Woken,
)
from swarmlet.node.task_machine import TaskMachine
from swarmlet.runtime.interface import Container, ContainerId, ContainerState, target_ports

NODE = NodeId("node-1")
SETTINGS = NodeSettings(steady_s=0.0, restart_jitter=0.0)
"""A task that nothing probes is ready at once, and restarts come when they are due: both have tests of their own."""
ALWAYS = RestartPolicy()
NEVER = RestartPolicy(condition=RestartCondition.NEVER)
ON_FAILURE = RestartPolicy(condition=RestartCondition.ON_FAILURE)


def an_http_check(**changes: float) -> HealthCheck:
    values: dict[str, object] = {"interval_s": 10.0, "timeout_s": 2.0, "retries": 3, **changes}
    return HealthCheck(probe=HttpProbe(port=80), **values)


def a_task(
    name: str = "t1",
    port: int | None = None,
    check: HealthCheck | None = None,
    restart: RestartPolicy = ALWAYS,
    image: str = "web:1",
    grace_s: float = 10.0,
    slot: int = 1,
) -> Task:
    template = TaskTemplate(
        image=image,
        ports=() if port is None else (PublishedPort(target=port, published=8000 + port),),
        health_check=check,
        restart=restart,
        stop_grace_period_s=grace_s,
    )
    return Task(
        id=TaskId(name),
        service=ServiceId("demo.web"),
        slot=slot,
        node=NODE,
        revision=RevisionHash("r1"),
        template=template,
        created_at=0.0,
    )


def stopped(task: Task, reason: str = "scaled down") -> Task:
    return task.model_copy(update={"desired": Desired.STOP, "stop_reason": reason})


def endpoints_of(task: Task) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(target_port=port, host="10.0.0.2", port=port) for port in target_ports(task.template))


@dataclass(slots=True)
class Bench:
    """Call `answer` to let the engine carry out the operation that is out; `settle` to let all go well for a while."""

    task: Task
    machine: TaskMachine
    now: float = 1000.0
    drain_s: float = 1.0
    held: Container | None = None
    """What the engine really has."""
    operation: OperationEffect | None = None
    probe: RunProbe | None = None
    readiness_probe: RunProbe | None = None
    statuses: list[TaskStatus | None] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    effects_at: list[float] = field(default_factory=list)
    """When each of `effects` came."""
    finished: bool = False
    verdict: Verdict = Verdict.PASSED
    """What probes say while settling."""
    made: int = 0

    @classmethod
    def of(cls, task: Task, drain_s: float = 1.0, absent: bool = True, settings: NodeSettings = SETTINGS) -> "Bench":
        return cls(task, TaskMachine(task.id, settings, drain_s, absent), drain_s=drain_s)

    @property
    def status(self) -> TaskStatus:
        assert self.statuses and self.statuses[-1] is not None
        return self.statuses[-1]

    @property
    def phases(self) -> list[Phase]:
        """Each phase published, repetitions left out."""
        phases: list[Phase] = []
        for status in self.statuses:
            if status is not None and phases[-1:] != [status.phase]:
                phases.append(status.phase)
        return phases

    # events

    def feed(self, event: Event) -> None:
        if self.finished:
            return
        for effect in self.machine.step(event, self.now):
            self._take(effect)

    def assign(self, task: Task | None) -> None:
        self.feed(Assigned(task))

    def run(self) -> "Bench":
        self.assign(self.task)
        self.settle()
        return self

    def die(self, exit_code: int, told: bool = True) -> None:
        assert self.held is not None
        self.held = replace(self.held, state=ContainerState.EXITED, exit_code=exit_code, endpoints=())
        if told:
            self.feed(ExitSeen(self.held.id, exit_code))

    def resync(self) -> None:
        self.now += 0.001
        self.feed(Found(self.held, self.now))

    def pass_time(self, seconds: float) -> None:
        """Time passes and timers fire; nothing that is out is answered."""
        end = self.now + seconds
        while not self.finished and self.machine.wake_at is not None and self.machine.wake_at <= end:
            self.now = max(self.now, self.machine.wake_at)
            self.feed(Woken())
        self.now = end

    def answer(self) -> None:
        """The engine carries out what is out, and says so."""
        operation = self.operation
        assert operation is not None
        event = self.carry_out(operation)
        self.operation = None
        self.feed(event)

    def refuse(self, failure: Failure, message: str = "no", done: bool = False) -> None:
        """What is out fails, though the engine may have `done` it."""
        assert self.operation is not None
        if done:
            self.carry_out(self.operation)
        self.operation = None
        self.feed(OperationFailed(failure, message))

    def answer_probe(self, verdict: Verdict | None = None, message: str = "no answer") -> None:
        assert self.probe is not None
        run, self.probe = self.probe.run, None
        self.feed(ProbeAnswered(run, verdict or self.verdict, message))

    def answer_readiness(self, verdict: Verdict, message: str = "not yet") -> None:
        assert self.readiness_probe is not None
        run, self.readiness_probe = self.readiness_probe.run, None
        self.feed(ProbeAnswered(run, verdict, message, readiness=True))

    def settle(self, seconds: float = 0.0) -> None:
        """All that is out is answered, at once, for so long."""
        end = self.now + seconds
        while True:
            if self.operation is not None:
                self.answer()
            elif self.probe is not None:
                self.answer_probe()
            elif not self.finished and self.machine.wake_at is not None and self.machine.wake_at <= end:
                self.now = max(self.now, self.machine.wake_at)
                self.feed(Woken())
            else:
                break
        self.now = end

    # the engine

    def carry_out(self, operation: OperationEffect) -> Event:
        match operation:
            case EnsureImage():
                return ImageReady()
            case Create():
                if self.held is None:
                    self.made += 1
                    held_id = ContainerId(f"c{self.made}")
                    self.held = Container(held_id, self.task.id, ContainerState.CREATED, None, None, (), "web:1")
                return Created(self.held.id)
            case Inspect():
                return Inspected(self.held)
            case Remove():
                self.held = None
                return RemoveReturned()
        if self.held is None:
            return OperationFailed(Failure.UNCERTAIN, "there is no container")
        if isinstance(operation, Start):
            self.held = replace(
                self.held, state=ContainerState.RUNNING, exit_code=None, endpoints=endpoints_of(self.task)
            )
            return StartReturned()
        assert isinstance(operation, Stop)
        if self.held.state is ContainerState.RUNNING:
            self.held = replace(self.held, state=ContainerState.EXITED, exit_code=143, endpoints=())
        return StopReturned()

    def _take(self, effect: Effect) -> None:
        self.effects.append(effect)
        self.effects_at.append(self.now)
        match effect:
            case Publish():
                self.statuses.append(effect.status)
            case RunProbe():
                if effect.readiness:
                    self.readiness_probe = effect
                else:
                    self.probe = effect
            case CancelOperation():
                assert isinstance(self.operation, EnsureImage)
                self.operation = None
            case Finished():
                self.finished = True
            case _:
                assert self.operation is None, f"{effect} beside {self.operation}"
                self.operation = effect

    @property
    def engine_runs(self) -> bool:
        return self.held is not None and self.held.state is ContainerState.RUNNING


def serving(status: TaskStatus) -> bool:
    return status.phase is Phase.RUNNING and status.health is Health.HEALTHY
