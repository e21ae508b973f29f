"""Rebalancing: which tasks are to leave their nodes so that the cluster is even again, as marks for `relocation`.

Rules:
- Only tasks that serve, of services that are as declared, are moved; the youngest of a node first. Left alone are
  global services and members of pods (their tasks have no other place), bin-packed ones, those that can't run beside
  their successor (`stops_first`: their data would stay behind), and whatever is moving already.
- A move is a mark on the task and nothing else: its successor starts first, within the service's disruption budget and
  surge. What the target refuses by then stays where it is.
- By itself (`ControllerSettings.rebalance`) the leader moves one task at a time, and only in a cluster at rest: nothing
  else to do, no problem, no task made or told to stop for a while. Nothing is remembered: the successor's age is the
  pause.

Decision record 0046.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from swarmlet.controllers.holdings import capacity_of, holdings, plans_of
from swarmlet.controllers.hosts import stops_first
from swarmlet.controllers.membership import node_records
from swarmlet.controllers.node_views import request_of
from swarmlet.controllers.outcome import DEFAULT_SETTINGS
from swarmlet.controllers.relocation import marked
from swarmlet.controllers.service_plan import ServicePlan
from swarmlet.controllers.steps import pack
from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.observed import ObservedState
from swarmlet.model.placement import Strategy
from swarmlet.model.state import ClusterState
from swarmlet.model.transaction import Transaction
from swarmlet.scheduler.rebalance import Movable, Move, moves

MOVES_MAX = 50
"""At once. After so many the cluster is another one, and looked at again."""
CALM_S = 60.0
"""So long nothing may have happened before the leader moves a task by itself."""
REASON = "rebalanced"
LOOK_S = 5.0
SERVICES_MAX = 20
"""In a look by itself; the next ones have their turn `LOOK_S` later. Nobody waits for it, and others wait meanwhile."""


@dataclass(frozen=True, slots=True)
class Rebalancing:
    moves: list[Move]
    transaction: Transaction
    """Without operations where the cluster is even."""


def rebalance(
    state: ClusterState, observed: ObservedState, now: float, voters: Collection[NodeId], moves_max: int = MOVES_MAX
) -> Rebalancing:
    """What people ask for: as many moves as it takes, up to a limit."""
    nodes = node_records(state, observed, now, DEFAULT_SETTINGS, None, ())
    return _rebalance(ClusterView.of(state, observed, nodes, now, DEFAULT_SETTINGS, voters), moves_max)


def gently(view: ClusterView) -> list[Transaction]:
    """What the leader does by itself when it has nothing else to do."""
    last = max((_last_change(each) for tasks in view.tasks.values() for each in tasks), default=0.0)
    if view.now < last + CALM_S:
        view.wake_after(last + CALM_S)
        return []
    if any(each.leaves for tasks in view.tasks.values() for each in tasks if each.runs):
        return []
    turn = int(view.now / LOOK_S) * SERVICES_MAX
    found = _rebalance(view, 1, turn)
    view.wake_after(view.now + LOOK_S)
    return [found.transaction] if found.moves else []


def _last_change(each: TaskView) -> float:
    return max(each.task.created_at, each.task.stopped_at)


def _rebalance(view: ClusterView, moves_max: int, turn: int | None = None) -> Rebalancing:
    plans = plans_of(view)
    ledger = capacity_of(view, holdings(view, plans))
    services = [
        (request_of(id_, plan.service.spec.template, plan.service.spec), _movable(view, plan))
        for id_, plan in _in_turn(plans, turn)
        if _may_move(plan)
    ]
    found = moves(ledger, services, moves_max)
    steps = [marked(view.state.tasks[move.task], f"{REASON} ({move.why})", move.target) for move in found]
    reason = f"rebalance: {len(found)} tasks are to move"
    transactions = pack(steps, reason)
    return Rebalancing(found, transactions[0] if transactions else Transaction((), (), reason="the cluster is even"))


def _in_turn(plans: dict[ServiceId, ServicePlan], turn: int | None) -> list[tuple[ServiceId, ServicePlan]]:
    """All of them, or a few from `turn` on, round and round."""
    everyone = list(plans.items())
    if turn is None or len(everyone) <= SERVICES_MAX:
        return everyone
    first = turn % len(everyone)
    return (everyone[first:] + everyone[:first])[:SERVICES_MAX]


def _may_move(plan: ServicePlan) -> bool:
    spec = plan.service.spec
    settled = not plan.fates and not plan.openings and not plan.messages
    loose = not plan.is_global and not spec.template.pod and not stops_first(spec)
    return settled and loose and spec.placement.strategy is not Strategy.BINPACK


def _movable(view: ClusterView, plan: ServicePlan) -> Movable:
    found: dict[NodeId, list[TaskId]] = {}
    for each in _serving(view, plan.service.id):
        found.setdefault(each.task.node, []).append(each.id)
    return found


def _serving(view: ClusterView, service: ServiceId) -> Iterator[TaskView]:
    """The oldest first."""
    return (
        each for each in view.tasks_of(service) if each.runs and not each.leaves and each.standing is Standing.READY
    )
