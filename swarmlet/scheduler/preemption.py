"""Preemption: which tasks of lesser priority give way to one that finds no room, never more than it needs.

Rules: only tasks of a lower priority give way, all of them on one node, and only where the task then fits by every
filter. The highest priority among those that give way is the lowest that will do, anywhere. Of the set none can be
spared: with any of them back, the task would not fit. Fewer come before more, small ones before large ones.
As in Kubernetes, those that can stay are found by putting them back one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarmlet.model.ids import NodeId, TaskId
from swarmlet.scheduler.capacity import ClusterCapacity
from swarmlet.scheduler.nodes import NodeView, PlacementRequest


@dataclass(frozen=True, slots=True)
class Resident:
    """A task that runs on a node and is to stay there."""

    task: TaskId
    request: PlacementRequest


@dataclass(frozen=True, slots=True)
class Displacement:
    node: NodeId
    victims: tuple[Resident, ...]


_Cost = tuple[int, int, float, str, str]
"""The highest priority that gives way, how many do, how much they reserve, and the node's name and id."""


def displace(
    request: PlacementRequest, ledger: ClusterCapacity, residents: Mapping[NodeId, Sequence[Resident]]
) -> Displacement | None:
    """The cheapest way to make room; None if there is none. The ledger is as before when this returns.

    `residents`: of the nodes that come into question, all of whom the ledger has counted.
    """
    best: tuple[_Cost, Displacement] | None = None
    for id_, there in residents.items():
        node = ledger.node(id_)
        lesser = [each for each in there if each.request.priority < request.priority]
        if node is None or not lesser:
            continue
        victims = _victims(request, ledger, node, lesser)
        if victims:
            cost = (*_cost(victims, node), node.name, node.id)
            if best is None or cost < best[0]:
                best = cost, Displacement(id_, victims)
    return best[1] if best else None


def _victims(
    request: PlacementRequest, ledger: ClusterCapacity, node: NodeView, lesser: list[Resident]
) -> tuple[Resident, ...]:
    """Empty if the task would not fit with all of them gone, or fits as it is."""
    if ledger.refusal(node.id, request) is None:
        return ()
    for level in sorted({each.request.priority for each in lesser}):
        below = [each for each in lesser if each.request.priority <= level]
        if alone := _one_alone(request, ledger, node, below):
            return alone
        _release(ledger, node, below)
        fits = ledger.refusal(node.id, request) is None
        sets = [_unspared(request, ledger, node, order) for order in _orders(below, node)] if fits else []
        _assign(ledger, node, below)
        if sets:
            return min(sets, key=lambda victims: (_cost(victims, node), [each.task for each in victims]))
    return ()


def _one_alone(
    request: PlacementRequest, ledger: ClusterCapacity, node: NodeView, residents: list[Resident]
) -> tuple[Resident, ...]:
    """The smallest one whose place alone is enough."""
    for each in sorted(residents, key=lambda each: (_size(each, node), each.task)):
        ledger.release(node.id, each.request)
        fits = ledger.refusal(node.id, request) is None
        ledger.assign(node.id, each.request)
        if fits:
            return (each,)
    return ()


def _orders(residents: list[Resident], node: NodeView) -> Iterable[list[Resident]]:
    """In which they are put back: the important ones first; the small ones of these first, or the large ones."""
    for sign in (1, -1):
        yield sorted(
            residents,
            key=lambda each, sign=sign: (-each.request.priority, sign * _size(each, node), each.task),  # type: ignore[misc]
        )


def _unspared(
    request: PlacementRequest, ledger: ClusterCapacity, node: NodeView, order: list[Resident]
) -> tuple[Resident, ...]:
    """All of them are gone; whoever can come back does, and the others are the victims. All are gone at the end."""
    victims, back = [], []
    for each in order:
        ledger.assign(node.id, each.request)
        if ledger.refusal(node.id, request) is None:
            back.append(each)
        else:
            ledger.release(node.id, each.request)
            victims.append(each)
    _release(ledger, node, back)
    return tuple(victims)


def _release(ledger: ClusterCapacity, node: NodeView, residents: Iterable[Resident]) -> None:
    for each in residents:
        ledger.release(node.id, each.request)


def _assign(ledger: ClusterCapacity, node: NodeView, residents: Iterable[Resident]) -> None:
    for each in residents:
        ledger.assign(node.id, each.request)


def _cost(victims: Sequence[Resident], node: NodeView) -> tuple[int, int, float]:
    highest = max(each.request.priority for each in victims)
    return highest, len(victims), sum(_size(each, node) for each in victims)


def _size(resident: Resident, node: NodeView) -> float:
    reserved, capacity = resident.request.reservations, node.capacity
    if capacity is None:
        return 0.0
    cpus = reserved.cpus / capacity.cpus if capacity.cpus else 0.0
    return cpus + (reserved.memory_bytes / capacity.memory_bytes if capacity.memory_bytes else 0.0)
