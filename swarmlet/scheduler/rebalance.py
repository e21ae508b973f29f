"""Rebalancing: few moves that make a lopsided cluster even again, by the rules by which its tasks were placed.

Rules: a task is moved only where the scheduler, asked anew, would rather have it elsewhere for a reason that lasts: a
wish, or evenness; never for an image, a name or a little more room. Taken away from its node first, the other node has
to be strictly better, so a move is never undone by the next one, and an even cluster has none.
Bin-packed services are not moved for the sake of packing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarmlet.model.ids import NodeId, TaskId
from swarmlet.scheduler.capacity import ClusterCapacity
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.placement import RULES, Placed
from swarmlet.scheduler.rules import Prepared, Rules
from swarmlet.scheduler.scores import LASTING

SOURCES_MAX = 3
"""Of a service's nodes, so many of the worst are tried: the others are on better ones."""
_JUDGED = Rules(RULES.filters, LASTING)


@dataclass(frozen=True, slots=True)
class Move:
    task: TaskId
    source: NodeId
    target: NodeId
    why: str
    """The rule that tells the two nodes apart, and what it says of each."""


Movable = Mapping[NodeId, Sequence[TaskId]]
"""Of one service: its tasks that may be moved, by node; the one to be moved first comes last."""


def moves(ledger: ClusterCapacity, services: Sequence[tuple[PlacementRequest, Movable]], moves_max: int) -> list[Move]:
    """At most so many. The ledger is as it will be when they are done."""
    found: list[Move] = []
    for request, movable in services:
        left = {node: list(tasks) for node, tasks in movable.items() if tasks}
        while left and len(found) < moves_max:
            move = _next(ledger, request, left)
            if move is None:
                break
            found.append(move)
            left[move.source].pop()
            if not left[move.source]:
                del left[move.source]
    return found


def _next(ledger: ClusterCapacity, request: PlacementRequest, movable: dict[NodeId, list[TaskId]]) -> Move | None:
    prepared = Prepared.of(request, ledger.cluster, _JUDGED)
    nodes = [node for id_ in movable if (node := ledger.node(id_)) is not None]
    for source in sorted(nodes, key=prepared.rank, reverse=True)[:SOURCES_MAX]:
        ledger.release(source.id, request)
        target = _better(ledger, request, prepared, source)
        if target is not None:
            why = _difference(prepared, source, target)
            ledger.assign(target.id, request)
            return Move(movable[source.id][-1], source.id, target.id, why)
        ledger.assign(source.id, request)
    return None


def _better(
    ledger: ClusterCapacity, request: PlacementRequest, prepared: Prepared, source: NodeView
) -> NodeView | None:
    """Where the task, which is nowhere at the moment, had better be; None if its old node is as good as any."""
    answer = ledger.place(request)
    if not isinstance(answer, Placed):
        return None
    ledger.release(answer.node, request)
    target = ledger.node(answer.node)
    assert target is not None
    return target if _values(prepared, target) < _values(prepared, source) else None


def _values(prepared: Prepared, node: NodeView) -> list[float]:
    return [ranking.value(node) for _, ranking in prepared.scores]


def _difference(prepared: Prepared, source: NodeView, target: NodeView) -> str:
    for score, ranking in prepared.scores:
        if ranking.value(target) < ranking.value(source):
            return f"{score.name}: {ranking.explain(target)} there, {ranking.explain(source)} here without it"
    raise AssertionError("a move has a reason")
