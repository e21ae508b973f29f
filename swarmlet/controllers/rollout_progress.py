"""How far a rollout is: when it begins, holds, switches, fails, is done; each time a change of what is stored of it.

Rules:
- A service whose revision is not the one of its stored rollout begins one, and the old one's revision is closed.
- It fails when a larger share of its new tasks has failed than the policy puts up with, or one of them is overdue, or
  nothing moves for as long. Then the whole service goes back to its last healthy revision, or the rollout pauses, as
  the policy says; a rollback is not rolled back. While it is paused nothing is judged.
- Canary: no more seats get the new revision than the present step allows; when all of them have stood their trial the
  step is reached, and after its hold (or a word from somebody) the next one begins.
- Blue-green: the traffic stays with the revision that had it until every new task has stood its trial.
- It is done when every seat is held by a new task that has stood its trial, and by nobody else.

Decision records 0047 to 0049.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from swarmlet.controllers import revisions, rollout
from swarmlet.controllers.rollout import Course
from swarmlet.controllers.seats import Seat
from swarmlet.controllers.steps import Step
from swarmlet.controllers.verdicts import failure, is_overdue
from swarmlet.controllers.view import ClusterView, Standing
from swarmlet.model.objects import Service
from swarmlet.model.revisions import NOBODY, REASON_CHARS_MAX, RevisionOutcome, Rollout, RolloutState
from swarmlet.model.rollout import FailureAction, UpdatePolicy, surge
from swarmlet.model.state import Versioned
from swarmlet.model.transaction import Compare, put

FAILURES_SHOWN_MAX = 3


@dataclass(slots=True)
class Progress:
    """Of one service, within one look."""

    view: ClusterView
    service: Versioned[Service]
    wanted: int
    rollout: Rollout
    """As it will be, once the change is applied."""
    rolls_back: Step | None = None
    """The rollout has failed: the service goes back, and nothing else of it moves by this look."""
    message: str = ""
    """What holds the rollout up, for people."""
    is_proven: bool = False
    """A task of the revision has stood its trial: one that is rolled out to no seats has yet to show that it works."""

    @classmethod
    def of(cls, view: ClusterView, service: Versioned[Service], wanted: int) -> "Progress":
        stored = view.state.rollouts.get(service.value.id)
        if stored is None or stored.value.revision != service.value.revision:
            return cls(view, service, wanted, _begun(view, service.value, stored))
        return cls(view, service, wanted, _as_declared(stored.value, service.value))

    @property
    def _stored(self) -> Versioned[Rollout] | None:
        return self.view.state.rollouts.get(self.service.value.id)

    @property
    def _goes_back(self) -> bool:
        """A rollback that is done is in force no longer: what moves from then on keeps to the update's policy."""
        return self.rollout.rollback and self.rollout.state is not RolloutState.DONE

    @property
    def policy(self) -> UpdatePolicy:
        return self.service.value.spec.rollout.paced(self._goes_back)

    @property
    def _judges(self) -> bool:
        return self.rollout.state is RolloutState.RUNNING and self.policy.failure_action is not FailureAction.CONTINUE

    def course(self, seats: Collection[Seat]) -> Course:
        """How the rollout goes on; its canary step and its switch are looked after on the way."""
        declared = self.service.value.spec.rollout
        course = Course(
            revision=self.service.value.revision,
            policy=self.policy,
            wanted=self.wanted,
            at_once=self.policy.at_once(self.wanted),
            surge=surge(declared, self.wanted, is_rollback=self._goes_back),
            held=self.rollout.state is RolloutState.PAUSED,
            blue_green=self.rollout.serving != NOBODY,
            serving=self.rollout.serving,
            before=self._before(),
        )
        if course.held:
            self.message = f"the rollout of revision {course.revision} is paused" + _because(self.rollout.reason)
            return course
        if course.blue_green and not course.switched and rollout.is_ready_to_switch(self.view, seats, course):
            self._change(serving=course.revision)
            return self.course(seats)
        return self._with_canary(course, seats)

    def _before(self) -> Service | None:
        """None in a rollback: it is the way back, and what it takes back is no help."""
        if self.rollout.rollback or self.rollout.state is RolloutState.DONE:
            return None
        return revisions.before(self.view.state, self.service.value)

    def _with_canary(self, course: Course, seats: Collection[Seat]) -> Course:
        canary = self.service.value.spec.rollout.canary
        if canary is None or self.rollout.rollback or self.rollout.state is RolloutState.DONE:
            return course
        while self.rollout.step < len(canary.steps):
            percent = canary.steps[self.rollout.step]
            new_max = math.ceil(self.wanted * percent / 100)
            settled = rollout.settled_count(self.view, seats, course)
            if settled < new_max:
                return replace(course, new_max=new_max)
            if not self.rollout.step_reached_at:
                self._change(step_reached_at=self.view.now)
            if canary.hold_s is None:
                if any(seat.formers for seat in seats):
                    self.message = f"the rollout of revision {course.revision} waits at {percent} % until it is resumed"
                return replace(course, new_max=new_max)
            hold_until = self.rollout.step_reached_at + canary.hold_s
            self.view.wake_after(hold_until)
            if self.view.now < hold_until:
                return replace(course, new_max=new_max)
            self._change(step=self.rollout.step + 1, step_reached_at=0.0, judged_from=self.view.now)
        return course

    # Failure

    def judge(self, seats: Collection[Seat]) -> None:
        """Before anything moves: has it failed?"""
        if not self._judges:
            return
        declared = self.service.value.spec.rollout
        failed = [(seat.current, why) for seat in seats if seat.current is not None and (why := self._failure(seat))]
        too_many = len(failed) > self.policy.failure_ratio_max * self.wanted
        overdue = any(is_overdue(self.view, each, declared, self.rollout.judged_from) for each, _ in failed)
        if failed and (too_many or overdue):
            shown = "; ".join(
                f"{self.view.name_of(each.task.node)}: task {each.id} {why}"
                for each, why in failed[:FAILURES_SHOWN_MAX]
            )
            what = "task" if len(failed) == 1 else "tasks"
            self._fail(f"{len(failed)} new {what} of {self.wanted} failed: {shown}")

    def _failure(self, seat: Seat) -> str:
        current, declared = seat.current, self.service.value.spec.rollout
        assert current is not None
        if current.succeeded and any(former.standing is Standing.READY for former in seat.formers):
            patient_until = max(current.task.created_at, self.rollout.judged_from) + declared.patience_s
            self.view.wake_after(patient_until)
            if self.view.now >= patient_until:
                return "has ended, where the one that it was to replace serves"
        return failure(self.view, current, declared, self.rollout.judged_from)

    def judge_waiting(self, why: str) -> None:
        """It is somebody's turn, and nothing has moved for as long as a single task may take."""
        nodes = self.view.up_nodes()
        if not self._judges or any(node.observed is None or node.observed.facts is None for node in nodes):
            return  # what isn't known yet may have room
        moments = [self.rollout.begun_at, self.rollout.judged_from, self.rollout.step_reached_at]
        for each in self.view.tasks_of(self.service.value.id):
            changed_at = each.status.changed_at if each.status else 0.0
            moments += [each.task.created_at, each.task.stopped_at, changed_at]
        deadline_s = self.service.value.spec.rollout.deadline_s
        stalled_at = max(moments) + self.policy.monitor_s + self.policy.delay_s + deadline_s
        self.view.wake_after(stalled_at)
        if self.view.now >= stalled_at:
            self._fail(f"nothing has moved for {deadline_s:g} s: {why}")

    def give_up(self, why: str) -> None:
        """What it waits for will not come."""
        if self._judges:
            self._fail(why)

    def _fail(self, why: str) -> None:
        service = self.service.value
        target = revisions.last_healthy(revisions.history_of(self.view.state, service.id), service.revision)
        if self.policy.failure_action is FailureAction.PAUSE:
            self._change(state=RolloutState.PAUSED, reason=why[:REASON_CHARS_MAX])
        elif target is None:
            self.message = f"the rollout of revision {service.revision} has failed, with no healthy one to go back to"
        else:
            self.rolls_back = revisions.going_back(
                self.view.state,
                self.service,
                target.number,
                self.view.now,
                closing=RevisionOutcome.FAILED,
                why=why,
                keep_replicas=False,
            )
            self.message = f"revision {service.revision} is rolled back: {why}"

    # The end, and what is written

    def finish(self, seats: Collection[Seat], course: Course) -> None:
        self.is_proven = rollout.is_proven(self.view, seats, course)
        if self.rollout.state is not RolloutState.DONE and rollout.is_complete(self.view, seats, course):
            self._change(state=RolloutState.DONE, serving=NOBODY)
            self.message = ""

    def _change(self, **changes: object) -> None:
        self.rollout = self.rollout.model_copy(update=changes)

    def describe(self) -> str:
        """For people who read the event stream."""
        what = f"rollout {self.rollout.number} of revision {self.rollout.revision}"
        if self.rolls_back is not None:
            return f"{self.service.value.id}: {what} has failed and is taken back"
        return f"{self.service.value.id}: {what} is {self.rollout.state}"

    def step(self) -> Step | None:
        """What is to be written of it, as one: None when nothing changed."""
        if self.rolls_back is not None:
            return self.rolls_back
        state, service, stored = self.view.state, self.service.value, self._stored
        step = Step((Compare(service.key, self.service.revision),), ())
        is_healthy = self.rollout.state is RolloutState.DONE and self.is_proven
        if stored is None or stored.value.number != self.rollout.number:
            outcome = RevisionOutcome.HEALTHY if is_healthy else RevisionOutcome.ROLLING
            return step + revisions.begin(state, service, self.rollout, outcome)
        if self.rollout != stored.value:
            step += Step((Compare(stored.value.key, stored.revision),), (put(self.rollout.key, self.rollout),))
        changes: dict[str, object] = {"spec": service.spec}
        if is_healthy:
            changes["outcome"] = RevisionOutcome.HEALTHY
        step += revisions.noted(revisions.history_of(state, service.id), self.rollout.number, changes)
        return step if step.operations else None


def _begun(view: ClusterView, service: Service, stored: Versioned[Rollout] | None) -> Rollout:
    before = stored.value if stored else None
    return Rollout(
        service=service.id,
        number=revisions.next_number(revisions.history_of(view.state, service.id), stored),
        revision=service.revision,
        begun_at=view.now,
        replicas=service.spec.replicas,
        serving=revisions.has_traffic(before) if service.spec.rollout.blue_green else NOBODY,
    )


def _as_declared(rollout: Rollout, service: Service) -> Rollout:
    """Under another policy by now: what began as blue-green, and has not switched, goes on as any other."""
    if service.spec.rollout.blue_green or rollout.serving in (NOBODY, rollout.revision):
        return rollout
    return rollout.model_copy(update={"serving": NOBODY})


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
