"""One task's life on its node: events in, effects out, no clock and no I/O.

Theory of operation. Each event first changes what is known (`TaskKnowledge.absorb`); then `_advance` compares what
is with what is wanted (run, stop, gone) and starts the next operation, if any; then the status is derived and, if it
differs, published. Nothing else decides, so a machine can be made at any moment of a container's life and goes on
from there: adoption is no case of its own.

Rules:
1. At most one operation is out. While its outcome is uncertain, look before acting.
2. An engine that is away leaves phase, health and endpoints as they are.
3. Endpoints are published only while the task runs, is healthy and ready, and is wanted; and a container is stopped no
   sooner than `drain_s` after they were withdrawn, so that proxies everywhere let go first.
4. The same container is started again in place; a new one is made only when there is none.
5. A container is named after its task, so an engine holds at most one for it.
6. Without a task object a container is an orphan: stopped and removed, and nothing is published of it.
7. An exclusive task is started only while it has a lease, and stopped before that runs out; its guard would kill it
   then (see `model.exclusive`).
"""

from swarmlet.model.exclusive import LAPSE_GRACE_S, STOP_AHEAD_S
from swarmlet.model.ids import TaskId
from swarmlet.model.observed import Health, Phase, TaskStatus
from swarmlet.model.spec import CommandProbe, TaskTemplate
from swarmlet.node.health import HealthTracker
from swarmlet.node.settings import MESSAGE_CHARS_MAX, NodeSettings
from swarmlet.node.task_events import (
    CancelOperation,
    Create,
    Effect,
    EnsureImage,
    Event,
    Finished,
    Inspect,
    OperationEffect,
    Publish,
    Remove,
    RunProbe,
    Start,
    Stop,
)
from swarmlet.node.task_knowledge import TaskKnowledge, Wanted
from swarmlet.runtime.interface import ContainerId, ContainerState


def _ensure_image(template: TaskTemplate) -> EnsureImage:
    return EnsureImage(template.image, template.pull_policy)


class TaskMachine:
    """`absent`: it is known that the engine has no container for this task yet, so none is looked for."""

    def __init__(self, task_id: TaskId, settings: NodeSettings, drain_s: float, absent: bool = False) -> None:
        self.task_id = task_id
        self.wake_at: float | None = None
        """When the next `Woken` is due; None: no timer."""
        self.finished = False
        self._settings = settings
        self._drain_s = drain_s
        self._known = TaskKnowledge(task_id, settings, absent)
        self._lapses = False
        self._serving = False
        self._withdrawn_at: float | None = None
        """When endpoints were last withdrawn from the published status."""
        self._published: TaskStatus | None = None
        self._effects: list[Effect] = []

    @property
    def container(self) -> ContainerId | None:
        """Where its logs are, if anywhere."""
        return self._known.container

    def step(self, event: Event, now: float) -> list[Effect]:
        assert not self.finished, f"task {self.task_id} got {event} after its end"
        self._effects = []
        self._known.absorb(event, now)
        self._advance(now)
        self._publish(now)
        return self._effects

    # what to do next, from what is known

    def _advance(self, now: float) -> None:
        known = self._known
        self.wake_at = None
        self._lapses = self._has_no_lease(now)
        if isinstance(known.busy, EnsureImage) and known.wanted is not Wanted.RUN:
            self._effects.append(CancelOperation())
            known.busy = None
        if known.busy is None and not self._waits_until(known.retry_at, now):
            known.retry_at = None
            self._choose(now)
        self._advance_probes(now)

    def _choose(self, now: float) -> None:
        known = self._known
        runs = known.state is ContainerState.RUNNING
        if known.doubt and not (runs and known.wanted is not Wanted.RUN and not known.stop_returned):
            self._begin(Inspect())
        elif runs and (known.wanted is not Wanted.RUN or self._lapses or self._must_be_restarted()):
            self._stop_when_let_go(now)
        elif known.wanted is Wanted.RUN and not runs:
            self._advance_start(now)
        elif known.wanted is Wanted.GONE:
            self._advance_removal()

    def _advance_start(self, now: float) -> None:
        known = self._known
        assert known.task is not None
        if known.restarts.given_up or self._waits_until(known.restarts.due_at(), now):
            return
        if self._lapses and known.state is not None:
            return
        known.restarts.begun()
        if known.state is None:
            self._begin(Create(known.task) if known.image_here else _ensure_image(known.task.template))
        else:
            assert known.container is not None
            known.start_uncertain = True
            self._begin(Start(known.container))

    def _has_no_lease(self, now: float) -> bool:
        """It is to run and may not (any longer)."""
        known = self._known
        if known.wanted is not Wanted.RUN or known.task is None or not known.task.template.exclusive:
            return False
        return not self._waits_until(known.lease_until - STOP_AHEAD_S, now)

    def _must_be_restarted(self) -> bool:
        known = self._known
        assert known.task is not None
        unhealthy = known.health is not None and known.health.health is Health.UNHEALTHY
        # Where no restart would follow, a task that still does something is better than none.
        return unhealthy and known.restarts.allowed(known.task.template.restart)

    def _stop_when_let_go(self, now: float) -> None:
        known = self._known
        since = now if self._serving else self._withdrawn_at
        if since is not None and self._waits_until(since + self._drain_s, now):
            return
        assert known.container is not None
        known.lapsing = self._lapses
        known.unwell = known.wanted is Wanted.RUN and not self._lapses
        grace_s = known.task.template.stop_grace_period_s if known.task else self._settings.orphan_grace_s
        grace_s = min(grace_s, LAPSE_GRACE_S) if self._lapses else grace_s
        self._begin(Stop(known.container, grace_s))

    def _advance_removal(self) -> None:
        known = self._known
        if known.container is not None:
            self._begin(Remove(known.container))
        else:
            self.finished = True

    def _advance_probes(self, now: float) -> None:
        known = self._known
        health, readiness = known.health, known.readiness
        if health is None or known.wanted is not Wanted.RUN:
            return
        if health.steady_at is not None and not self._waits_until(health.steady_at, now):
            health.stood_the_trial(now)
        self._advance_probe(health, now)
        if readiness is not None:
            self._advance_probe(readiness, now)

    def _advance_probe(self, tracker: HealthTracker, now: float) -> None:
        known = self._known
        if tracker.plan is None or tracker.probe_at is None:
            return
        plan, endpoint = tracker.plan, None
        if not isinstance(plan.probe, CommandProbe):
            port = plan.probe.port
            endpoint = next((found for found in known.endpoints if found.target_port == port), None)
            if endpoint is None and (known.doubt or isinstance(known.busy, Inspect)):
                return  # its addresses are being asked for
        if known.unwell or self._waits_until(tracker.probe_at, now):
            return
        assert known.container is not None
        tracker.probe_sent()
        is_readiness = tracker is known.readiness
        self._effects.append(
            RunProbe(known.run, plan.probe, known.container, endpoint, plan.timeout_s, readiness=is_readiness)
        )

    def _begin(self, operation: OperationEffect) -> None:
        known = self._known
        assert known.busy is None
        known.busy = operation
        self._effects.append(operation)

    def _waits_until(self, at: float | None, now: float) -> bool:
        if at is None or at <= now:
            return False
        self.wake_at = at if self.wake_at is None else min(self.wake_at, at)
        return True

    # what the others may know

    def _publish(self, now: float) -> None:
        status = None if self.finished else self._status()
        serving = status is not None and bool(status.endpoints)
        if self._serving and not serving:
            self._withdrawn_at = now
        self._serving = serving
        if status != self._published:
            self._published = status
            self._effects.insert(0, Publish(status))  # before it is acted upon: proxies let go first
        if self.finished:
            self._effects.append(Finished())

    def _status(self) -> TaskStatus | None:
        known = self._known
        if known.task is None:
            return None
        phase = self._phase()
        told = phase is Phase.RUNNING and not self._lapses
        health = known.health.health if told and known.health else Health.UNKNOWN
        unready = phase is Phase.RUNNING and self._is_unready()
        return TaskStatus(
            task=self.task_id,
            service=known.task.service,
            revision=known.task.revision,
            phase=phase,
            health=health,
            unready=unready,
            endpoints=known.endpoints if health is Health.HEALTHY and not unready else (),
            message=" ".join(self._message(phase).split())[:MESSAGE_CHARS_MAX],
            restarts=known.restarts.count,
            parked=phase is Phase.BACKOFF and known.restarts.parked,
            exit_code=known.exit_code,
        )

    def _is_unready(self) -> bool:
        readiness = self._known.readiness
        return readiness is not None and readiness.health is not Health.HEALTHY

    def _phase(self) -> Phase:
        known = self._known
        runs = known.state is ContainerState.RUNNING
        if known.wanted is not Wanted.RUN:
            moving = runs or known.doubt or isinstance(known.busy, Create | Start | Stop | Inspect)
            return Phase.STOPPING if moving else Phase.STOPPED
        if runs:
            return Phase.RUNNING
        if isinstance(known.busy, EnsureImage):
            return Phase.PULLING
        if isinstance(known.busy, Create | Start) or known.start_uncertain:
            return Phase.STARTING
        if known.restarts.given_up:
            return Phase.EXITED
        return Phase.BACKOFF if known.restarts.waiting else Phase.PENDING

    def _message(self, phase: Phase) -> str:
        known = self._known
        if known.trouble:
            return known.trouble
        if self._lapses and phase in (Phase.PENDING, Phase.RUNNING):
            return "no leader has confirmed that it may run here: it waits for its lease"
        if phase in (Phase.STOPPING, Phase.STOPPED):
            return (known.task.stop_reason if known.task else "") or "no longer assigned to this node"
        if phase in (Phase.BACKOFF, Phase.EXITED):
            return known.restarts.message
        messages = [tracker.message for tracker in (known.health, known.readiness) if tracker is not None]
        return next((message for message in messages if message), "")
