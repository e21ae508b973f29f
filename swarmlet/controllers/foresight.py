"""Foresight: what would become of a transaction, played to its end on a copy of the agreed state. Nothing is done.

Rules:
- No second truth: the transaction is the one that would be committed, and the leader's own `reconcile` decides, look by
  look, as it would. Only the nodes are imagined (`ideal_nodes`): whatever they are told succeeds at once.
- Time jumps to the moment for which a controller waits (a delay, a canary's step), never further than `HORIZON_S`.
- It ends when the watched services are as declared, or when nothing moves any more, or when the leader would take the
  deploy back; then the controllers' own problems say what is in the way. Both looks and time are bounded.

Decision record 0060.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from swarmlet.controllers.ideal_nodes import obey
from swarmlet.controllers.job_deployment import deployed_run
from swarmlet.controllers.reconcile import reconcile
from swarmlet.model.frozen import decode
from swarmlet.model.ids import NodeId, ServiceId, TaskId, service_id
from swarmlet.model.job import RunState, TaskOutcome
from swarmlet.model.objects import SERVICES, TASKS, Desired, NodeStatus, Service, Task
from swarmlet.model.observed import ObservedState, ServiceProblem
from swarmlet.model.revisions import ROLLOUTS, Rollout
from swarmlet.model.spec import DependencyCondition, Mode
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Put, Transaction

LOOKS_MAX = 500
"""A rollout of a thousand tasks one by one is seen to its middle; more would take too long to wait for."""
HORIZON_S = 24 * 3_600.0
LOOK_S = 1.0
"""How much time is taken to pass between two looks: ages of tasks decide some things."""


@dataclass(slots=True)
class Foresight:
    before: ClusterState
    after: ClusterState
    created: dict[TaskId, Task] = field(default_factory=dict)
    """In the order of their making."""
    stopped: dict[TaskId, Task] = field(default_factory=dict)
    """Those there were before: as they are told to stop, with the reason; or, for tasks that are forgotten with their
    node, as they were."""
    problems: Mapping[ServiceId, ServiceProblem] = field(default_factory=dict)
    """At the end: what is still in the way."""
    settled: bool = False
    """The watched services are as declared; else they wait for something, or the play was too long."""
    looks: int = 0

    def apply(self, transaction: Transaction) -> None:
        """What the store would do, all of whose comparisons hold here: nobody else writes to the copy."""
        revision = self.after.revision + 1
        for operation in transaction.operations:
            name = TaskId(operation.key.removeprefix(TASKS))
            before = self.after.tasks.get(name)
            if isinstance(operation, Put):
                self.after.put(operation.key, operation.value, revision)
            else:
                self.after.delete(operation.key, revision)
            if operation.key == TASKS + name:
                self._record(name, before.value if before else None)

    def _record(self, task: TaskId, before: Task | None) -> None:
        found = self.after.tasks.get(task)
        if before is None and found is not None:
            self.created[task] = found.value
        elif before is not None and before.desired is Desired.RUN and task in self.before.tasks:
            if found is None:
                self.stopped[task] = before
            elif found.value.desired is Desired.STOP:
                self.stopped[task] = found.value

    @property
    def staying(self) -> dict[TaskId, Task]:
        """The created ones that are to run in the end, or have done a job's work: a rollout may make and stop some."""
        found = (self.after.tasks.get(task) for task in self.created)
        return {each.value.id: each.value for each in found if each and _is_meant(each.value)}


def _is_meant(task: Task) -> bool:
    return task.desired is Desired.RUN or task.outcome is TaskOutcome.SUCCEEDED


def foresee(
    state: ClusterState,
    observed: ObservedState,
    transaction: Transaction | None,
    watched: Collection[ServiceId],
    now: float,
    voters: Collection[NodeId] = (),
) -> Foresight:
    """Play `transaction` (None: no change) until the watched services are as declared. `state` stays as it is."""
    seen = Foresight(before=state, after=state.copy())
    if transaction is not None:
        seen.apply(transaction)
    end = now + HORIZON_S
    for seen.looks in range(1, LOOKS_MAX + 1):
        outcome = reconcile(seen.after, observed, now, gone=_down(seen.after), voters=voters)
        failed = _taken_back(seen.after, outcome.transactions, watched)
        if failed:
            seen.problems = _with_failures(seen.problems, failed)
            break
        for each in outcome.transactions:
            seen.apply(each)
        seen.problems = outcome.problems
        imagined = obey(seen.after, observed, _completing(seen.after), now)
        is_quiet = not outcome.transactions and imagined == observed
        observed = imagined
        seen.settled = is_quiet and all(_as_declared(seen, service) for service in watched)
        if seen.settled:
            break
        if not is_quiet:
            now += LOOK_S
        elif outcome.wake_at is None or outcome.wake_at > end:
            break
        else:
            now = outcome.wake_at
    return seen


def _taken_back(
    state: ClusterState, transactions: Iterable[Transaction], watched: Collection[ServiceId]
) -> dict[ServiceId, str]:
    """Of the watched services those that the controllers would make another revision again, and why."""
    puts = {each.key: each.value for done in transactions for each in done.operations if isinstance(each, Put)}
    failed = {}
    for service in watched:
        known = state.services.get(service)
        key, rollout = SERVICES + service, ROLLOUTS + service
        if known and key in puts and decode(Service, puts[key]).revision != known.value.revision:
            failed[service] = decode(Rollout, puts[rollout]).reason if rollout in puts else ""
    return failed


def _with_failures(
    problems: Mapping[ServiceId, ServiceProblem], failed: Mapping[ServiceId, str]
) -> dict[ServiceId, ServiceProblem]:
    """What was in the way, and that the leader would give it up."""
    told = dict(problems)
    for service, why in failed.items():
        known = problems.get(service)
        before = f"{known.message}; " if known else ""
        message = f"{before}then it would be rolled back: {why}".removesuffix(": ")
        told[service] = ServiceProblem(service=service, message=message, per_node=known.per_node if known else {})
    return told


def _down(state: ClusterState) -> list[NodeId]:
    return [id_ for id_, node in state.nodes.items() if node.value.status is NodeStatus.DOWN]


def _completing(state: ClusterState) -> frozenset[ServiceId]:
    """Services that others wait for until their tasks have ended well, and jobs."""
    jobs = {id_ for id_, each in state.services.items() if each.value.spec.job is not None}
    return frozenset(jobs) | {
        service_id(each.value.stack, name)
        for each in state.services.values()
        for name, condition in each.value.spec.depends_on.items()
        if condition is DependencyCondition.COMPLETED
    }


def _as_declared(seen: Foresight, service: ServiceId) -> bool:
    """As many tasks of the service's revision as wanted are to run, and no others. Of a global one, the controller
    says what is missing."""
    found = seen.after.services.get(service)
    running = [each.value for each in seen.after.tasks_of(service) if each.value.desired is Desired.RUN]
    if found is None:
        return not running
    spec = found.value.spec
    if spec.job is not None:
        run = deployed_run(seen.after, found.value)
        return bool(spec.job.schedule) or (run is not None and run.state is RunState.SUCCEEDED)
    is_complete = service not in seen.problems if spec.mode is Mode.GLOBAL else len(running) == spec.replicas
    return is_complete and all(task.revision == found.value.revision for task in running)
