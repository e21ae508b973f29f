"""What a node knows of one task and its container, and how each event changes that. Pure.

Decisions are not made here (see `task_machine`), but for one: an end is handed to the restart policy as soon as it
is known, since the delay counts from then.

Rules:
1. What the engine did not say is not assumed. While the outcome of a call is uncertain there is `doubt`, which only
   a listing ends; one that may be older than what was seen since is not believed.
2. An exit told shortly after a start may be a late word about the run before: it raises doubt, nothing more. Any
   other is believed at once, so that a killed container is back soon.
"""

from enum import StrEnum

from swarmlet.model.exclusive import STOP_AHEAD_S
from swarmlet.model.ids import TaskId
from swarmlet.model.objects import Desired, Task
from swarmlet.model.observed import Endpoint
from swarmlet.model.spec import CommandProbe
from swarmlet.node.health import HealthTracker, Verdict, plan_of, readiness_plan_of
from swarmlet.node.restarts import CANT_BE_RUN, Restarts
from swarmlet.node.settings import NodeSettings
from swarmlet.node.task_events import (
    Assigned,
    Create,
    Created,
    EnsureImage,
    Event,
    ExitSeen,
    Failure,
    Found,
    ImageReady,
    Inspect,
    Inspected,
    Leased,
    OperationEffect,
    OperationFailed,
    ProbeAnswered,
    RemoveReturned,
    Start,
    StartReturned,
    StartSeen,
    Stop,
    StopReturned,
    Woken,
)
from swarmlet.runtime.interface import LAPSED, Container, ContainerId, ContainerState, target_ports


class Wanted(StrEnum):
    RUN = "run"
    STOP = "stop"
    GONE = "gone"
    """There is no task object (any more)."""


class TaskKnowledge:
    def __init__(self, task_id: TaskId, settings: NodeSettings, absent: bool) -> None:
        self.task_id = task_id
        self.task: Task | None = None
        """As last seen; kept when its object is gone. None: never seen, the container is an orphan."""
        self.wanted = Wanted.GONE

        self.container: ContainerId | None = None
        self.state: ContainerState | None = None
        """None: there is no container, as far as is known."""
        self.endpoints: tuple[Endpoint, ...] = ()
        self.exit_code: int | None = None
        self.doubt = not absent
        """`container` and `state` are to be checked by a listing before they are acted upon."""

        self.busy: OperationEffect | None = None
        """The operation that is out."""
        self.retry_at: float | None = None
        """An operation failed; the next one waits until then."""
        self.trouble = ""
        """Why the last operation failed; empty since one succeeded."""
        self.image_here = False
        self.start_uncertain = False
        """A start was asked for and whether it happened is not known yet."""
        self.stop_returned = False
        """A stop was carried out and the end of the run is still to be seen."""
        self.unwell = False
        """It is being stopped because its health check failed."""
        self.lease_until = float("-inf")
        """An exclusive task may run until then."""
        self.lapsing = False
        """It is being stopped because its lease runs out."""

        self.restarts = Restarts(settings, task_id)
        self.health: HealthTracker | None = None
        """Of the present run; None while there is none."""
        self.readiness: HealthTracker | None = None
        """Likewise, of a task that has a readiness probe."""
        self.run = 0
        """Numbers the runs, so that a late answer of a probe is known as such."""

        self._settings = settings
        self._running_since = 0.0
        self._proven = False
        """Its last run lasted long enough for the next one to be trusted from its start."""
        self._settled_at = float("-inf")
        self._hinted = False
        self._image_failures = 0
        self._call_failures = 0

    def absorb(self, event: Event, now: float) -> None:
        match event:
            case Assigned():
                self._assigned(event)
            case Found():
                if self.busy is None and event.asked_at > self._settled_at:
                    self._found(event.container, now)
            case Inspected():
                self._inspected(event, now)
            case StartSeen():
                self._start_seen(event, now)
            case ExitSeen():
                self._exit_seen(event, now)
            case ProbeAnswered():
                self._probe_answered(event, now)
            case OperationFailed():
                self._operation_failed(event, now)
            case Leased():
                self.lease_until = max(self.lease_until, event.until)
            case Woken():
                pass
            case _:
                self._operation_returned(event, now)

    def _assigned(self, event: Assigned) -> None:
        before = self.wanted
        if event.task is None:
            self.wanted = Wanted.GONE
        else:
            assert event.task.id == self.task_id
            self.task = event.task
            self.wanted = Wanted.RUN if event.task.desired is Desired.RUN else Wanted.STOP
        if self.wanted is not before:
            self.retry_at = None  # the failure was one of something else
            self.trouble = self.trouble if self.doubt else ""

    def _probe_answered(self, event: ProbeAnswered, now: float) -> None:
        tracker = self.readiness if event.readiness else self.health
        if event.run != self.run or tracker is None:
            return
        tracker.answered(event.verdict, event.message, now)
        plan = tracker.plan
        needs_address = plan is not None and not isinstance(plan.probe, CommandProbe)
        if needs_address and event.verdict is Verdict.FAILED and not self.endpoints:
            self.doubt = True

    def _operation_returned(
        self, event: ImageReady | Created | StartReturned | StopReturned | RemoveReturned, now: float
    ) -> None:
        assert self.busy is not None, f"{event} answers nothing"
        self.busy = None
        self.trouble = ""
        self._call_failures = 0
        self._settled_at = now
        match event:
            case ImageReady():
                self.image_here = True
                self._image_failures = 0
            case Created():
                self.container = event.container
                self.state = ContainerState.CREATED
            case StartReturned():
                self._runs(now)
            case StopReturned():
                # The exit is usually known by now from its event; otherwise its code is worth a look.
                self.stop_returned = True
                self.doubt = self.doubt or self.state is ContainerState.RUNNING
            case RemoveReturned():
                self.container = None
                self.state = None

    def _operation_failed(self, event: OperationFailed, now: float) -> None:
        operation, self.busy = self.busy, None
        assert operation is not None, f"{event} answers nothing"
        self._settled_at = now
        self.trouble = event.message
        hinted, self._hinted = self._hinted, False
        if event.failure is Failure.IMAGE:
            self.image_here = False
            self._image_failures += 1
            self.retry_at = now + self._settings.image.delay_s(self._image_failures)
        elif event.failure is Failure.REFUSED and isinstance(operation, Create | Start):
            self._start_refused(operation, event.message, now)
        else:
            self._call_failures += 1
            self.retry_at = now + self._settings.engine.delay_s(self._call_failures)
            self.doubt = self.doubt or hinted or not isinstance(operation, EnsureImage)

    def _start_refused(self, operation: Create | Start, message: str, now: float) -> None:
        self.start_uncertain = False
        self.trouble = ""
        if isinstance(operation, Create):
            self.doubt = True  # its name may be taken by a container that an unanswered call has made
        else:
            self.state = ContainerState.EXITED
        self._count_end(failed=True, why=message, now=now, hopeless=True)

    def _inspected(self, event: Inspected, now: float) -> None:
        assert isinstance(self.busy, Inspect), f"{event} answers nothing"
        self.busy = None
        self.trouble = ""
        if self._hinted:  # something happened while the listing was made: it may be older than that
            self._hinted = False
        else:
            self._found(event.container, now)

    def _found(self, container: Container | None, now: float) -> None:
        self.doubt = False
        if container is None:
            self._vanished(now)
            return
        self.container = container.id
        match container.state:
            case ContainerState.CREATED:
                self.state = ContainerState.CREATED
                self.start_uncertain = False
            case ContainerState.RUNNING:
                self._found_running(container.endpoints, now)
            case ContainerState.EXITED:
                self._found_exited(container.exit_code, now)

    def _found_running(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        if self.state is not ContainerState.RUNNING:
            self._runs(now)
            self.doubt = False
        elif self.stop_returned:  # the engine contradicts itself: stop it again, but not in a hot loop
            self.stop_returned = False
            self._call_failures += 1
            self.trouble = "the engine said it was stopped, yet it runs"
            self.retry_at = now + self._settings.engine.delay_s(self._call_failures)
        self.endpoints = endpoints

    def _found_exited(self, exit_code: int | None, now: float) -> None:
        if self.state is not ContainerState.EXITED or self.start_uncertain:
            self._ended(exit_code, now)
        elif self.exit_code is None:
            self.exit_code = exit_code

    def _start_seen(self, event: StartSeen, now: float) -> None:
        if event.container == self.container and self.busy is None and self.state is not ContainerState.RUNNING:
            self._settled_at = now
            self.doubt = True

    def _exit_seen(self, event: ExitSeen, now: float) -> None:
        if isinstance(self.busy, Inspect):
            self._hinted = True  # even of a container that is only being found
        if event.container != self.container:
            return
        self._settled_at = now
        if isinstance(self.busy, Start | Inspect):
            self._hinted = True
        elif self.state is ContainerState.RUNNING:
            stopping = isinstance(self.busy, Stop)
            if stopping or now - self._running_since >= self._settings.exit_doubt_s:
                self._ended(event.exit_code, now)
            else:
                self.doubt = True
        elif self.state is ContainerState.EXITED and self.exit_code is None:
            self.exit_code = event.exit_code

    def _runs(self, now: float) -> None:
        """A run began, or is met for the first time."""
        proven = self._proven or not self.start_uncertain
        self.state = ContainerState.RUNNING
        self.start_uncertain = False
        self.stop_returned = False
        self.restarts.forget_end()
        self.run += 1
        self._running_since = now
        self.endpoints = ()
        self.doubt, self._hinted = self._hinted, False
        if self.task is not None:
            self.health = HealthTracker(plan_of(self.task.template, self._settings), self._settings, now, proven)
            readiness = readiness_plan_of(self.task.template)
            self.readiness = (
                HealthTracker(readiness, self._settings, now, check="readiness check") if readiness else None
            )
            if target_ports(self.task.template):
                self.doubt = True  # its addresses are new with each start

    def _ended(self, exit_code: int | None, now: float) -> None:
        self.state = ContainerState.EXITED
        self.exit_code = exit_code
        self.start_uncertain = False
        if exit_code == LAPSED and self.lease_until <= now + STOP_AHEAD_S:
            self.lapsing = self.task is not None and self.task.template.exclusive
        why = "ended, nobody saw how" if exit_code is None else f"exited with status {exit_code}"
        if self.unwell and self.health is not None:
            why = self.health.message
        cant_be_run = exit_code in CANT_BE_RUN
        self._count_end(failed=self.unwell or exit_code != 0, why=why, now=now, hopeless=cant_be_run)

    def _vanished(self, now: float) -> None:
        had_run = self.state is ContainerState.RUNNING or self.start_uncertain
        self.state = None
        self.container = None
        self.image_here = False
        self.start_uncertain = False
        if had_run:
            self._count_end(failed=True, why="its container is gone", now=now)

    def _count_end(self, failed: bool, why: str, now: float, *, hopeless: bool = False) -> None:
        healthy_for_s = self.health.healthy_for_s(now) if self.health else 0.0
        self._proven = self.health is not None and now - self._running_since >= self._settings.steady_s
        self.health = None
        self.readiness = None
        lapsed, self.lapsing, self.unwell = self.lapsing, False, False
        self.stop_returned = False
        self.endpoints = ()
        # One without a lease did not fail, whatever its restart policy: it goes on when it has one again.
        if self.wanted is Wanted.RUN and self.task is not None and not lapsed:
            policy = self.task.template.restart
            self.restarts.ended(policy, failed, healthy_for_s, why, now, hopeless=hopeless)
