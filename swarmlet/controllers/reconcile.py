"""The leader's one look at the cluster: what is agreed, what is observed, and the changes that follow.

Level-triggered and pure: it remembers nothing, so any peer can take over after any transaction; what it
proposes, once applied, leaves it nothing to propose until something new is observed or `wake_at` has come.
Every transaction is guarded by comparisons on the objects that it would be wrong without. What can't be
guarded is observation (readiness, free room): a decision made on an old one is put right by the next look.

Order of the transactions: all changes of nodes first, together with what follows from them (a lost node and
the replacement of its tasks are one commit); then one or a few per service; then new numbers of replicas, which the
next look acts on. Jobs have transactions of their own (see `jobs`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from swarmlet.controllers import relocation
from swarmlet.controllers.autoscaling import scale_all
from swarmlet.controllers.fates import Fate
from swarmlet.controllers.holdings import plans_of
from swarmlet.controllers.job_retention import clear_removed_jobs
from swarmlet.controllers.job_runs import plans_of_runs
from swarmlet.controllers.jobs import JobDecisions, plan_job
from swarmlet.controllers.membership import NodeRecord, node_records, unseen_until
from swarmlet.controllers.outcome import DEFAULT_SETTINGS, ControllerSettings, Outcome
from swarmlet.controllers.placing import Creation, describe, fill
from swarmlet.controllers.pod_places import PodPlaces
from swarmlet.controllers.preempting import Promises
from swarmlet.controllers.prerequisites import ends
from swarmlet.controllers.rebalancing import gently
from swarmlet.controllers.retention import clear_removed, expire
from swarmlet.controllers.revisions import clear
from swarmlet.controllers.service_plan import ServicePlan, conclude
from swarmlet.controllers.steps import Step, pack
from swarmlet.controllers.view import ClusterView
from swarmlet.model.exclusive import NO_LEASES, Leases
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import Service
from swarmlet.model.observed import ObservedState, ServiceProblem
from swarmlet.model.state import ClusterState, Versioned
from swarmlet.model.transaction import Compare, Transaction, put

SURVIVORS_COMPARED_MAX = 1_000
"""A scale-down holds only if the tasks that are to stay still do. Of very large services not all are compared:
one task too few of thousands is put right by the next look."""

NODES_SHOWN_MAX = 50
"""In a problem: it is gossiped, and people read no more."""
NODES_NAMED_MAX = 10
"""In a transaction's reason."""


@dataclass(slots=True)
class _Decisions:
    """Of one service, living or removed."""

    service: ServiceId
    fates: list[Fate]
    plan: ServicePlan | None = None
    creations: list[Creation] = field(default_factory=list)


def reconcile(
    state: ClusterState,
    observed: ObservedState,
    now: float,
    *,
    gone: Collection[NodeId],
    voters: Collection[NodeId] = (),
    listening_since: float | None = None,
    leases: Leases = NO_LEASES,
    settings: ControllerSettings = DEFAULT_SETTINGS,
) -> Outcome:
    """`now` and `listening_since`, from which on this peer would have heard of every node, are wall time.

    Without the latter, silence about a node never makes it down. `gone`: whom a majority of the voters holds for gone
    (`deaths.agreed_gone`). `voters`: what `node.role` tells apart. `leases`: until when exclusive
    tasks may still run (`lease_book`).
    """
    nodes = node_records(state, observed, now, settings, listening_since, gone)
    view = ClusterView.of(state, observed, nodes, now, settings, voters, leases)
    if listening_since is not None:
        for record in nodes.values():
            if record.is_up and record.observed is None:
                view.wake_after(unseen_until(record.node, listening_since, settings))
    decisions, of_jobs = _decide(view)
    problems = {each.service: _problem(each.plan) for each in decisions if each.plan and each.plan.messages}
    transactions = _transactions(view, decisions, of_jobs)
    written = {operation.key for done in transactions for operation in done.operations}
    ended = pack(ends(view, written), "how tasks ended that others wait for")
    written |= {operation.key for done in ended for operation in done.operations}
    scaling = scale_all(state, observed, lambda id_: (each.task for each in view.tasks_of(id_)), now, written)
    if scaling.look_at is not None:
        view.wake_after(scaling.look_at)
    transactions += ended + scaling.transactions
    if settings.rebalance and not transactions and not problems:
        transactions = gently(view)
    return Outcome(transactions, problems | of_jobs.problems, view.wake_at)


def _problem(plan: ServicePlan) -> ServiceProblem:
    shown = dict(list(plan.per_node.items())[:NODES_SHOWN_MAX])
    if len(shown) < len(plan.per_node):
        plan.messages.append(f"{len(plan.per_node) - len(shown)} more nodes are not shown")
    return ServiceProblem(service=plan.service.id, message="; ".join(plan.messages), per_node=shown)


def _decide(view: ClusterView) -> tuple[list[_Decisions], JobDecisions]:
    plans = plans_of(view)
    creations: dict[ServiceId, list[Creation]] = {id_: [] for id_ in plans}
    promises = Promises.of(view, plans, plans_of_runs(view))
    pods = PodPlaces(view, plans, promises)
    of_jobs = JobDecisions()
    by_priority = sorted(view.state.services.values(), key=_rank)
    for service in by_priority:
        if service.value.spec.job is not None:
            plan_job(view, service, promises, of_jobs)
        else:
            id_ = service.value.id
            creations[id_] += fill(view, plans[id_], promises, pods, beside=False)
    of_jobs.transactions += clear_removed_jobs(view)
    for id_ in (each.value.id for each in by_priority if each.value.id in plans):
        creations[id_] += fill(view, plans[id_], promises, pods, beside=True)
    for id_, plan in plans.items():
        conclude(plan)
        expire(view, plan, {creation.key for creation in creations[id_]})
    living = [_Decisions(id_, list(plan.fates.values()), plan, creations[id_]) for id_, plan in plans.items()]
    removed = [_Decisions(id_, clear_removed(view, id_)) for id_ in sorted(set(view.tasks) - set(plans))]
    return living + removed, of_jobs


def _rank(service: Versioned[Service]) -> tuple[int, bool, ServiceId]:
    """The important first; among equals services before jobs, which can wait."""
    return -service.value.spec.priority, service.value.spec.job is not None, service.value.id


def _transactions(view: ClusterView, decisions: Iterable[_Decisions], of_jobs: JobDecisions) -> list[Transaction]:
    changed = [record for record in view.nodes.values() if record.changes]
    with_nodes: list[Step] = list(of_jobs.with_nodes)
    of_services: list[Transaction] = []
    for each in decisions:
        joined, alone, surplus = _steps(view, each)
        with_nodes += joined
        reason = _reason(each)
        progress = each.plan.progress if each.plan else None
        of_rollout = progress.step() if progress else None
        if progress and of_rollout and not progress.rolls_back:
            # What a rollout comes to is known before its tasks move.
            reason = f"{progress.describe()}; {reason}" if alone else progress.describe()
            alone.insert(0, of_rollout)
        of_services += pack(alone, reason)
        of_services += pack(surplus, _reason(each), _survivors(view, each))
        # Tasks that are left where they are may be among the survivors: written after these were compared.
        left = [task for task in each.plan.unmarked if task.id not in each.plan.fates] if each.plan else []
        of_services += pack(map(relocation.unmarked, left), _reason(each))
        if progress and of_rollout and progress.rolls_back:
            # A service changes only after what compares it.
            of_services += pack([of_rollout], progress.describe())
    of_services += pack(clear(view.state), "forget the revisions of removed services")
    # The nodes' own objects come last: what compares them must be applied before they change.
    with_nodes += [Step((record.compare,), (put(record.node.key, record.node),)) for record in changed]
    return pack(with_nodes, _node_reason(changed)) + of_services + of_jobs.transactions


def _steps(view: ClusterView, each: _Decisions) -> tuple[list[Step], list[Step], list[Step]]:
    """The service's steps: those that go with a change of a node, those of its own, and those of a scale-down."""
    joined: list[Step] = []
    alone: list[Step] = []
    surplus: list[Step] = []
    replaced = {
        each.plan.newest[creation.key].id: creation
        for creation in each.creations
        if each.plan and creation.key in each.plan.newest
    }
    paired: set[str] = set()
    for fate in each.fates:
        step, touches = fate.step(view.now), _rests_on_change(fate)
        creation = replaced.get(fate.view.id)
        if creation is not None:
            step, touches = step + creation.step, touches or creation.node.changes
            paired.add(creation.task.id)
        if each.plan and fate.view.id in each.plan.surplus and not fate.drop:
            if not touches:  # else it is for the next look: it rests on its node as it was and on the others, both
                surplus.append(step)
        else:
            (joined if touches else alone).append(step)
    for creation in each.creations:
        if creation.task.id not in paired:
            (joined if creation.node.changes else alone).append(creation.step)
    return joined, alone, surplus


def _rests_on_change(fate: Fate) -> bool:
    node = fate.view.node
    return node is not None and node.changes and node.compare in fate.because


def _survivors(view: ClusterView, each: _Decisions) -> tuple[Compare, ...]:
    if each.plan is None or not each.plan.surplus:
        return ()
    staying = [task.compare for task in view.tasks_of(each.service) if task.runs and task.id not in each.plan.fates]
    return tuple(staying[:SURVIVORS_COMPARED_MAX])


def _reason(each: _Decisions) -> str:
    stopped = sum(not fate.drop for fate in each.fates)
    unmarked = len(each.plan.unmarked) if each.plan else 0
    return describe(each.service, len(each.creations), stopped, len(each.fates) - stopped, unmarked)


def _node_reason(changed: Iterable[NodeRecord]) -> str:
    return ", ".join(f"{record.node.name} is {record.node.status}" for record in list(changed)[:NODES_NAMED_MAX])
