"""What each task holds of its node: the ledger's beginning, before anything is placed.

Rules: what runs, and what was told to stop and is not gone yet, takes its room; what is about to be replaced is no part
of the spread, so that a rollout ends as evenly as a fresh start. A task that ended keeps its part in the spread, but
nothing of its node.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from swarmlet.controllers.node_views import node_view, request_of
from swarmlet.controllers.pod_departures import let_pods_leave
from swarmlet.controllers.service_plan import ServicePlan, plan_service
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.ids import RevisionHash, ServiceId
from swarmlet.scheduler import ClusterCapacity, PlacementRequest


@dataclass(frozen=True, slots=True)
class Holding:
    task: TaskView
    request: PlacementRequest
    leaving: bool
    plan: ServicePlan | None
    """Of its service; None where that is no more, or a job."""


def plans_of(view: ClusterView) -> dict[ServiceId, ServicePlan]:
    """Of all services; jobs have none."""
    services = sorted(view.state.services.items())
    plans = {id_: plan_service(view, each) for id_, each in services if each.value.spec.job is None}
    let_pods_leave(view, plans)
    return plans


def holdings(view: ClusterView, plans: Mapping[ServiceId, ServicePlan]) -> Iterator[Holding]:
    for service, tasks in view.tasks.items():
        plan = plans.get(service)
        requests: dict[RevisionHash, PlacementRequest] = {}
        for each in tasks:
            if not _takes_nothing(view, each):
                leaving = plan is None or not each.runs or each.id in plan.fates or bool(each.leaves)
                leaving = leaving or (plan is not None and each.task.revision != plan.service.revision)
                yield Holding(each, _request(each, plan, requests), leaving, plan)
    yield from _of_runs(view)


def _of_runs(view: ClusterView) -> Iterator[Holding]:
    """Tasks of jobs. One that has ended is no part of the spread: the next may well run in its place."""
    for tasks in view.run_tasks.values():
        found = view.state.services.get(tasks[0].task.service)
        for each in tasks:
            if not (each.standing is Standing.ENDED or each.is_gone or view.is_dead(each)):
                request = request_of(each.task.service, each.task.template, found.value.spec if found else None)
                yield Holding(each, _with_devices(each, request), not each.runs, None)


def capacity_of(view: ClusterView, held: Iterable[Holding]) -> ClusterCapacity:
    ledger = ClusterCapacity(
        node_view(record.node, record.observed, view.voters, view.now) for record in view.nodes.values()
    )
    for each in held:
        ledger.assign(each.task.task.node, each.request, leaving=each.leaving)
        unnamed = each.request.reservations.devices.keys() - each.request.devices.keys()
        if unnamed and (node := ledger.node(each.task.task.node)):
            node.unnamed_devices |= unnamed
    return ledger


def _takes_nothing(view: ClusterView, each: TaskView) -> bool:
    return each.is_gone or view.is_dead(each) or (not each.runs and each.standing is Standing.ENDED)


def _request(
    each: TaskView, plan: ServicePlan | None, requests: dict[RevisionHash, PlacementRequest]
) -> PlacementRequest:
    if each.standing is Standing.ENDED:
        return PlacementRequest(each.task.service)
    revision = each.task.revision
    if revision not in requests:
        spec = plan.service.spec if plan else None
        requests[revision] = request_of(each.task.service, each.task.template, spec)
    return _with_devices(each, requests[revision])


def _with_devices(each: TaskView, request: PlacementRequest) -> PlacementRequest:
    """Of a revision's tasks each has its own."""
    return replace(request, devices=each.task.devices) if each.task.devices else request
