"""One run of a job: how its tasks ended, what becomes of the run, and which completions are to be started.

Rules, in this order:
- How a task ended is written down as soon as its node says so; from then on nothing of it hangs on that node. Exit
  status 0 reaches its completion. What ended otherwise failed. A task whose node was lost, or had to be left (a
  no-execute taint, a drain past its deadline), that gave way to a more important one, or that was stopped because its
  job was removed (and is there again), is neither: it is tried again without counting.
- A run is cancelled when another revision was deployed, or the same one anew, or when its policy says so and a later
  run is there; it has succeeded when every completion is reached; it fails when one has used up its retries, and at its
  deadline. The tasks of a run that is over are stopped.
- A global job's completion belongs to its node, and starts nowhere else. It is given up where nothing of it runs and
  the node is lost, drained, or no longer one for the job; with all the others reached, the run has succeeded.
- Never more tasks at once than its parallelism, those that are still stopping included. The lowest completions first;
  one that failed waits for its back-off, counted from when the failure was written down.
- Every look at a run writes it once, together with its tasks: two leaders can't both start some.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from swarmlet.controllers.hosts import belongs_on, repelled_by
from swarmlet.controllers.relocation import is_overdue
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.ids import NodeId, TaskId
from swarmlet.model.job import Cause, Concurrency, JobRun, RunId, RunState, TaskOutcome
from swarmlet.model.objects import Desired, Service, Task
from swarmlet.model.state import Versioned
from swarmlet.model.transaction import Compare

GIVEN_UP = (TaskOutcome.LOST, TaskOutcome.STOPPED)
"""How tasks end that may still run on their nodes when it is written down."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What is written down of a task that ended or has to."""

    view: TaskView
    outcome: TaskOutcome
    reason: str
    because: tuple[Compare, ...] = ()
    """What it would be wrong without, beside the task's own run, service and node."""

    def task(self, now: float) -> Task:
        ended = {"desired": Desired.STOP, "stop_reason": self.reason, "stopped_at": now, "outcome": self.outcome}
        return self.view.task.model_copy(update=ended)


@dataclass(frozen=True, slots=True)
class SlotOpening:
    slot: int
    node: NodeId | None
    """The only one that will do."""
    predecessor: TaskId | None


@dataclass(slots=True)
class RunPlan:
    service: Service
    compare: Compare
    """Of the service."""
    before: Versioned[JobRun]
    run: JobRun
    """As it will be."""
    tasks: list[TaskView]
    endings: list[Ending] = field(default_factory=list)
    openings: list[SlotOpening] = field(default_factory=list)
    busy: bool = False
    """Something of it is still to run, or may still be running somewhere."""

    def displace(self, view: TaskView, reason: str, compare: Compare) -> None:
        """One of its tasks gives way to the service of `compare`."""
        self.endings.append(Ending(view, TaskOutcome.LOST, reason, (compare,)))
        self.run = self.run.model_copy(update={"lost": self.run.lost + 1})

    def end(self, state: RunState, now: float, reason: str = "") -> None:
        self.run = self.run.model_copy(update={"state": state, "ended_at": now, "reason": reason})


@dataclass(slots=True)
class _Slot:
    done: bool = False
    failures: int = 0
    failed_at: float = 0.0
    why: str = ""
    occupied: bool = False
    newest: TaskView | None = None


def plans_of_runs(view: ClusterView) -> dict[RunId, RunPlan]:
    """Of all jobs; each job's runs in their order."""
    plans: dict[RunId, RunPlan] = {}
    for service in view.state.services.values():
        if service.value.spec.job is not None:
            stored = view.state.runs_of(service.value.id)
            deployed = [run.value.id for run in stored if run.value.cause is Cause.DEPLOY]
            former = frozenset(deployed[:-1])
            for run in stored:
                is_latest, redeployed = run is stored[-1], run.value.id in former
                plans[run.value.id] = plan_run(view, service, run, is_latest=is_latest, redeployed=redeployed)
    return plans


def plan_run(
    view: ClusterView, service: Versioned[Service], stored: Versioned[JobRun], *, is_latest: bool, redeployed: bool
) -> RunPlan:
    """`redeployed`: it was begun because the job was deployed, and so was a later one."""
    tasks = view.run_tasks.get(stored.value.id, [])
    plan = RunPlan(service.value, Compare(service.value.key, service.revision), stored, run=stored.value, tasks=tasks)
    plan.endings = list(_observed_endings(view, plan))
    slots = _slots(view, plan)
    _count(plan, slots)
    if plan.run.state.is_active:
        _judge(view, plan, slots, is_latest, redeployed)
    if not plan.run.state.is_active:
        ended = {each.view.id for each in plan.endings}
        reason = plan.run.reason or f"the run has {plan.run.state}"
        rest = [each for each in tasks if each.task.outcome is TaskOutcome.NONE and each.id not in ended]
        plan.endings += [Ending(each, TaskOutcome.STOPPED, reason) for each in rest]
    plan.busy = plan.run.state.is_active or any(each.occupied for each in slots.values())
    return plan


def open_slots(view: ClusterView, plan: RunPlan) -> None:
    """Which completions are to be started now. To be asked once it is known that the run may begin."""
    if not plan.run.state.is_active:
        return
    slots, policy = _slots(view, plan), plan.run.policy
    free = policy.at_once(plan.run.completions) - sum(_occupancy(view, plan).values())
    for number, slot in sorted(slots.items()):
        if free <= 0:
            return
        if slot.done or slot.occupied or _is_given_up(view, plan, number, slot):
            continue
        if slot.failures:
            due = slot.failed_at + policy.delay_s(slot.failures)
            view.wake_after(due)
            if view.now < due:
                continue
        node = plan.run.nodes[number - 1] if plan.run.nodes else None
        plan.openings.append(SlotOpening(number, node, slot.newest.id if slot.newest else None))
        free -= 1


def _observed_endings(view: ClusterView, plan: RunPlan) -> Iterable[Ending]:
    for each in plan.tasks:
        if each.task.outcome is not TaskOutcome.NONE:
            continue
        if each.succeeded:
            yield Ending(each, TaskOutcome.SUCCEEDED, "completed")
        elif not each.runs:
            yield Ending(each, TaskOutcome.STOPPED, each.task.stop_reason)
        elif each.standing is Standing.ENDED:
            yield Ending(each, TaskOutcome.FAILED, _failure(each))
        elif each.standing is Standing.LOST:
            yield Ending(each, TaskOutcome.LOST, "node lost")
        elif is_overdue(view, each):
            yield Ending(each, TaskOutcome.LOST, f"{each.leaves}, past its deadline")
        elif each.node is not None and repelled_by(each.node.node, plan.service.spec) is not None:
            yield Ending(each, TaskOutcome.LOST, each.leaves)


def _failure(view: TaskView) -> str:
    status = view.status
    assert status is not None, "ended, as its node says"
    return status.message if status.exit_code is None else f"exit status {status.exit_code}"


def _slots(view: ClusterView, plan: RunPlan) -> dict[int, _Slot]:
    slots = {number: _Slot() for number in range(1, plan.run.completions + 1)}
    endings = {each.view.id: each for each in plan.endings}
    for each in plan.tasks:
        slot = slots.setdefault(each.task.slot, _Slot())
        ending = endings.get(each.id)
        outcome = ending.outcome if ending else each.task.outcome
        slot.newest = each
        slot.done |= outcome is TaskOutcome.SUCCEEDED
        slot.occupied |= _may_run(view, each, outcome)
        if outcome is TaskOutcome.FAILED:
            slot.failures += 1
            slot.failed_at = view.now if ending else each.task.stopped_at
            reason = ending.reason if ending else each.task.stop_reason
            slot.why = f"{reason} on {view.name_of(each.task.node)}"
    return slots


def _may_run(view: ClusterView, each: TaskView, outcome: TaskOutcome) -> bool:
    if outcome is TaskOutcome.NONE:
        return True
    if outcome not in GIVEN_UP or each.on_lost_node or each.standing is Standing.ENDED:
        return False
    return each.runs or not view.is_dead(each)


def _occupancy(view: ClusterView, plan: RunPlan) -> dict[TaskId, int]:
    endings = {each.view.id: each.outcome for each in plan.endings}
    return {each.id: _may_run(view, each, endings.get(each.id, each.task.outcome)) for each in plan.tasks}


def _count(plan: RunPlan, slots: dict[int, _Slot]) -> None:
    if not plan.before.value.state.is_active:
        return
    counts: Counter[TaskOutcome] = Counter()
    endings = {each.view.id: each.outcome for each in plan.endings}
    for each in plan.tasks:
        counts[endings.get(each.id, each.task.outcome)] += 1
    plan.run = plan.run.model_copy(
        update={
            "succeeded": sum(slot.done for slot in slots.values()),
            "failed": counts[TaskOutcome.FAILED],
            "lost": counts[TaskOutcome.LOST],
        }
    )


def _judge(view: ClusterView, plan: RunPlan, slots: dict[int, _Slot], is_latest: bool, redeployed: bool) -> None:
    run, policy, now = plan.run, plan.run.policy, view.now
    open_ = [number for number, slot in slots.items() if not slot.done and not _is_given_up(view, plan, number, slot)]
    hopeless = [number for number, slot in sorted(slots.items()) if not slot.done and slot.failures > policy.retries]
    deadline_at = run.created_at + policy.deadline_s
    if policy.deadline_s:
        view.wake_after(deadline_at)
    if not open_ and run.succeeded:
        plan.end(RunState.SUCCEEDED, now)
    elif not open_:
        plan.end(RunState.FAILED, now, "all of its nodes were lost, or take none of its tasks any more")
    elif run.revision != plan.service.revision:
        plan.end(RunState.CANCELLED, now, f"revision {plan.service.revision} was deployed")
    elif redeployed:
        plan.end(RunState.CANCELLED, now, "the job was deployed anew")
    elif policy.concurrency is Concurrency.REPLACE and not is_latest:
        plan.end(RunState.CANCELLED, now, "replaced by a later run")
    elif hopeless:
        slot = slots[hopeless[0]]
        times = "" if slot.failures == 1 else f" {slot.failures} times, at last"
        plan.end(RunState.FAILED, now, f"completion {hopeless[0]} failed{times}: {slot.why}")
    elif policy.deadline_s and now >= deadline_at:
        plan.end(RunState.FAILED, now, f"deadline: not over after {policy.deadline_s:g} s")


def _is_given_up(view: ClusterView, plan: RunPlan, number: int, slot: _Slot) -> bool:
    """Of a global job: its node will not do it, and nobody else can. What has failed for good stays a failure."""
    if not plan.run.nodes or slot.occupied or slot.failures > plan.run.policy.retries:
        return False
    record = view.nodes.get(plan.run.nodes[number - 1])
    if record is None or record.gone:
        return True
    return not belongs_on(record.node, plan.service.spec, has_task=False, belonging=view.belonging)
