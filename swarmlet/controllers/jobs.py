"""All jobs in one look: which runs begin, what becomes of each, where their tasks go, which are forgotten.

Rules: a run's task is placed by the scheduler like any other, in the same ledger. A run starts tasks only when nothing
of an earlier run of its job is in its way (unless its policy allows several) and when what its service depends on is
there. Per look a run is written at most once, with at most `TASKS_PER_LOOK_MAX` of its tasks; what is left follows with
the next look, which that change brings about.
"""

from dataclasses import dataclass, field, replace

from swarmlet.controllers.job_begin import begin
from swarmlet.controllers.job_retention import expire_runs
from swarmlet.controllers.job_runs import RunPlan, SlotOpening, open_slots
from swarmlet.controllers.membership import NodeRecord
from swarmlet.controllers.node_views import request_of
from swarmlet.controllers.preempting import Promises
from swarmlet.controllers.start_order import waits_for
from swarmlet.controllers.steps import BYTES_MAX, Step, pack
from swarmlet.controllers.task_ids import derived_task_id
from swarmlet.controllers.view import ClusterView
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.job import Concurrency, RunState
from swarmlet.model.objects import Service, Task
from swarmlet.model.observed import ServiceProblem
from swarmlet.model.schedule import BadSchedule
from swarmlet.model.state import Versioned
from swarmlet.model.transaction import Compare, Operation, Transaction, put
from swarmlet.scheduler import Placed, Unplaceable
from swarmlet.scheduler.devices import Chosen

TASKS_PER_LOOK_MAX = 100
"""Of one run: so many tasks fit into one transaction."""


@dataclass(slots=True)
class JobDecisions:
    with_nodes: list[Step] = field(default_factory=list)
    """To be one commit with changes of nodes that they rest on."""
    transactions: list[Transaction] = field(default_factory=list)
    problems: dict[ServiceId, ServiceProblem] = field(default_factory=dict)


def plan_job(view: ClusterView, service: Versioned[Service], promises: Promises, decisions: JobDecisions) -> None:
    """Of one job: after all that is more important, so that it is known which of its tasks give way."""
    id_, messages = service.value.id, _Messages()
    runs = [promises.runs[run.value.id] for run in view.state.runs_of(id_)]
    try:
        started = begin(view, service, runs)
    except BadSchedule as error:
        messages.say(str(error))
    else:
        decisions.transactions += pack([started] if started else [], f"{id_}: a run is due or was missed")
    in_the_way = False
    for plan in runs:
        created: list[tuple[Task, NodeRecord]] = []
        if not _is_held(view, plan, in_the_way, messages):
            open_slots(view, plan)
            created = _place(view, plan, promises, messages)
        in_the_way |= plan.busy
        step, rests_on_change = _step(view, plan, created)
        if step is not None and rests_on_change:
            decisions.with_nodes.append(step)
        elif step is not None:
            decisions.transactions += pack([step], _describe(plan, len(created)))
    decisions.transactions += expire_runs(view, id_)
    if messages.lines:
        decisions.problems[id_] = ServiceProblem(
            service=id_, message="; ".join(messages.lines), per_node=dict(messages.per_node)
        )


@dataclass(slots=True)
class _Messages:
    lines: list[str] = field(default_factory=list)
    per_node: dict[str, str] = field(default_factory=dict)

    def say(self, line: str) -> None:
        if line not in self.lines and len(self.lines) < MESSAGES_MAX:
            self.lines.append(line)


MESSAGES_MAX = 5
"""About one job: they are gossiped, and people read no more."""


def _is_held(view: ClusterView, plan: RunPlan, in_the_way: bool, messages: _Messages) -> bool:
    run = plan.run
    if run.started or not run.state.is_active:
        return False
    if in_the_way and run.policy.concurrency is not Concurrency.ALLOW:
        messages.say(f"run {run.number} waits until nothing of an earlier run is left")
        return True
    if waiting := waits_for(view, plan.service):
        messages.say(f"run {run.number} {waiting.text}")
    return waiting is not None


def _place(view: ClusterView, plan: RunPlan, promises: Promises, messages: _Messages) -> list[tuple[Task, NodeRecord]]:
    request = request_of(plan.service.id, plan.service.spec.template, plan.service.spec)
    ledger, created = promises.ledger, list[tuple[Task, NodeRecord]]()
    refused: dict[NodeId, str] = {}
    promised = 0
    room = max(TASKS_PER_LOOK_MAX - len(plan.endings), 0)
    openings = plan.openings[:room]
    size_bytes = 0
    no_room: Unplaceable | None = None
    """As an equal task was told, since when no more than promises were made."""
    for number, opening in enumerate(openings):
        if promises.used_up:
            openings = openings[:number]
            break
        answer = ledger.place_on(opening.node, request) if opening.node else no_room or ledger.place(request)
        match answer:
            case Placed(node):
                devices = promises.hold_devices(node, request)
                task = _task(view, plan, opening, node, devices)
                created.append((task, view.nodes[node]))
                promises.created(node, replace(request, devices=devices) if devices else request)
                size_bytes += len(put(task.key, task).value)
                if size_bytes > BYTES_MAX:
                    return created
            case Unplaceable(reasons):
                if promises.promise(plan, request, opening.node):
                    promised += 1
                    no_room = no_room if opening.node else answer
                    continue
                refused |= reasons
                if opening.node is None:
                    break
    if promised:
        messages.say(f"{promised} tasks of run {plan.run.number} wait until those that make room for them are gone")
    if unplaced := len(openings) - len(created) - promised:
        messages.say(f"no node can take {unplaced} of {plan.run.completions} tasks of run {plan.run.number}")
        for node, reason in list(refused.items())[:NODES_SHOWN_MAX]:
            messages.per_node.setdefault(view.name_of(node), reason)
    return created


NODES_SHOWN_MAX = 50


def _task(view: ClusterView, plan: RunPlan, opening: SlotOpening, node: NodeId, devices: Chosen) -> Task:
    service, run = plan.service, plan.run
    seat = f"run {run.id} completion {opening.slot}"
    return Task(
        id=derived_task_id(service.id, plan.compare.revision, seat, opening.predecessor, view.state.tasks),
        service=service.id,
        slot=opening.slot,
        node=node,
        revision=service.revision,
        template=service.spec.template,
        created_at=view.now,
        run=run.id,
        devices=devices,
    )


def _step(view: ClusterView, plan: RunPlan, created: list[tuple[Task, NodeRecord]]) -> tuple[Step | None, bool]:
    """All that is written of a run in this look, and whether it rests on a node that changes in the same one."""
    endings = plan.endings[:TASKS_PER_LOOK_MAX]
    if len(endings) < len(plan.endings) and plan.run.state is not plan.before.value.state:
        # Not all that it rests on fits: it is judged again when the rest is written down.
        plan.run = plan.run.model_copy(update={"state": plan.before.value.state, "ended_at": 0.0, "reason": ""})
    if created:
        first = plan.run.started == 0
        plan.run = plan.run.model_copy(
            update={
                "state": RunState.RUNNING,
                "started": plan.run.started + len(created),
                "started_at": view.now if first else plan.run.started_at,
            }
        )
    if plan.run == plan.before.value and not endings:
        return None, False
    compares = [Compare(plan.run.key, plan.before.revision), plan.compare]
    operations: list[Operation] = [put(plan.run.key, plan.run)]
    touched: list[NodeRecord] = []
    for each in endings:
        compares += (each.view.compare, *each.because)
        if each.view.on_lost_node:
            compares.append(each.view.node_compare)
            touched += [each.view.node] if each.view.node else []
        task = each.task(view.now)
        operations.append(put(task.key, task))
    for task, node in created:
        compares += [node.compare, Compare(task.key, 0)]
        operations.append(put(task.key, task))
        touched.append(node)
    return Step(tuple(dict.fromkeys(compares)), tuple(operations)), any(node.changes for node in touched)


def _describe(plan: RunPlan, created: int) -> str:
    run = plan.run
    said = [f"{created} tasks started"] if created else []
    said += [f"{len(plan.endings)} tasks over"] if plan.endings else []
    if run.state is not plan.before.value.state:
        said.append(f"{run.state}{': ' if run.reason else ''}{run.reason}")
    return f"{run.service} run {run.number}: {', '.join(said) or 'counted'}"
