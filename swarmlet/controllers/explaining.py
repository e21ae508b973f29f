"""Where a task would go if it were placed now, rule by rule and node by node: the scheduler's own verdicts.

Rules: no second truth; nodes, tasks and rules are what the leader's next look would see. A task that is there is
looked at as if it were not, so that its own node is judged like any other.
"""

from collections.abc import Collection
from dataclasses import dataclass

from swarmlet.controllers.holdings import capacity_of, holdings, plans_of
from swarmlet.controllers.membership import node_records
from swarmlet.controllers.node_views import request_of
from swarmlet.controllers.outcome import DEFAULT_SETTINGS
from swarmlet.controllers.view import ClusterView
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Service, Task
from swarmlet.model.observed import ObservedState
from swarmlet.model.state import ClusterState
from swarmlet.scheduler import NodeVerdict, explain


@dataclass(frozen=True, slots=True)
class PlacementVerdicts:
    nodes: list[NodeVerdict]
    """The best first, those that refuse last."""
    leaves: str = ""
    """Of a task: why it is to leave its node."""


def explain_task(
    state: ClusterState, observed: ObservedState, now: float, voters: Collection[NodeId], task: Task
) -> PlacementVerdicts:
    service = state.services.get(task.service)
    return _verdicts(state, observed, now, voters, service.value if service else None, task)


def explain_service(
    state: ClusterState, observed: ObservedState, now: float, voters: Collection[NodeId], service: Service
) -> PlacementVerdicts:
    """Of one more task."""
    return _verdicts(state, observed, now, voters, service, None)


def _verdicts(
    state: ClusterState,
    observed: ObservedState,
    now: float,
    voters: Collection[NodeId],
    service: Service | None,
    task: Task | None,
) -> PlacementVerdicts:
    nodes = node_records(state, observed, now, DEFAULT_SETTINGS, None, ())
    view = ClusterView.of(state, observed, nodes, now, DEFAULT_SETTINGS, voters)
    held = list(holdings(view, plans_of(view)))
    own = next((each for each in held if task is not None and each.task.id == task.id), None)
    ledger = capacity_of(view, [each for each in held if each is not own])
    if task is not None:
        request = request_of(task.service, task.template, service.spec if service else None)
    else:
        assert service is not None
        request = request_of(service.id, service.spec.template, service.spec)
    return PlacementVerdicts(explain(request, ledger.cluster), own.task.leaves if own else "")
