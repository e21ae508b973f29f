"""Preemption: which tasks of lesser priority give way to one that finds no room, never more than it needs.

Rules: only tasks of a lower priority give way, all of them on one node, and only where the task then fits by every
filter. The highest priority among those that give way is the lowest that will do, anywhere. Of the set none can be
spared: with any of them back, the task would not fit. Fewer come before more, small ones before large ones.
As in Kubernetes, those that can stay are found by putting them back one by one.

Equal tasks come in rows: what was found on a node is kept for the next one as long as nothing was booked there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarmlet.model.ids import NodeId, TaskId
from swarmlet.scheduler.capacity import ClusterCapacity
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.rules import Prepared


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
    """For one task; for many use `Preemption`."""
    return Preemption(ledger, residents).displace(request)


@dataclass(frozen=True, slots=True)
class _Found:
    bookings: int
    """Of the node, up to when this holds."""
    cost: _Cost | None
    """None: nobody there can make room."""
    victims: tuple[Resident, ...]


class Preemption:
    """The ledger is as before whenever this has answered."""

    def __init__(self, ledger: ClusterCapacity, residents: Mapping[NodeId, Sequence[Resident]]) -> None:
        """`residents`: of the nodes that come into question, all of whom the ledger has counted. Live."""
        self._ledger = ledger
        self._residents = residents
        self._request: PlacementRequest | None = None
        self._found: dict[NodeId, _Found] = {}
        self.searched = 0
        """Nodes so far, for whose victims something had to be tried out."""

    def displace(self, request: PlacementRequest, only: NodeId | None = None) -> Displacement | None:
        """The cheapest way to make room, anywhere or on the only node that will do; None if there is none."""
        filters = self._ledger.filters(request)
        if self._request != request or filters.looks_beyond_nodes:
            self._found.clear()
            self._request = request
        best: tuple[_Cost, Displacement] | None = None
        for id_ in [only] if only else self._residents:
            found = self._on(id_, request, filters)
            if found is not None and found.cost is not None and (best is None or found.cost < best[0]):
                best = found.cost, Displacement(id_, found.victims)
        return best[1] if best else None

    def _on(self, id_: NodeId, request: PlacementRequest, filters: Prepared) -> _Found | None:
        node, known = self._ledger.node(id_), self._found.get(id_)
        if node is None or (known is not None and known.bookings == node.bookings):
            return known
        lesser = [each for each in self._residents.get(id_, ()) if each.request.priority < request.priority]
        victims: tuple[Resident, ...] = ()
        if lesser:
            self.searched += 1
            victims = _Search(self._ledger, node, filters).victims(lesser)
        cost = (*_cost(victims, node), node.name, node.id) if victims else None
        self._found[id_] = _Found(node.bookings, cost, victims)
        return self._found[id_]


@dataclass(frozen=True, slots=True)
class _Search:
    """On one node. Tasks of one service are mostly alike: what one of them could not do, its equals need not try."""

    ledger: ClusterCapacity
    node: NodeView
    filters: Prepared

    def victims(self, lesser: list[Resident]) -> tuple[Resident, ...]:
        """Empty if the task would not fit with all of them gone, or fits as it is."""
        if self._fits():
            return ()
        for level in sorted({each.request.priority for each in lesser}):
            if alone := self._one_alone([each for each in lesser if each.request.priority == level]):
                return alone
            if sets := self._sets([each for each in lesser if each.request.priority <= level]):
                return min(sets, key=lambda victims: (_cost(victims, self.node), [each.task for each in victims]))
        return ()

    def _one_alone(self, residents: Iterable[Resident]) -> tuple[Resident, ...]:
        """The smallest one whose place alone is enough."""
        tried: set[int] = set()
        for each in sorted(residents, key=lambda each: (_size(each, self.node), each.task)):
            if id(each.request) in tried:
                continue
            tried.add(id(each.request))
            self._release([each])
            fits = self._fits()
            self._assign([each])
            if fits:
                return (each,)
        return ()

    def _sets(self, residents: list[Resident]) -> list[tuple[Resident, ...]]:
        """Of whom none can be spared, one for each order in which the others come back. Empty if the task would not fit
        with all of them gone."""
        sets: list[tuple[Resident, ...]] = []
        for order in _orders(residents, self.node):
            self._release(order)
            if not self._fits():
                self._assign(order)
                break
            victims = self._unspared(order)
            self._assign(victims)
            sets.append(victims)
        return sets

    def _unspared(self, order: list[Resident]) -> tuple[Resident, ...]:
        """All of them are gone; whoever can come back does, and the others are the victims."""
        victims = []
        refused: set[int] = set()
        for each in order:
            if id(each.request) not in refused:
                self._assign([each])
                if self._fits():
                    continue
                self._release([each])
                refused.add(id(each.request))
            victims.append(each)
        return tuple(victims)

    def _fits(self) -> bool:
        return self.filters.refusal(self.node) is None

    def _release(self, residents: Iterable[Resident]) -> None:
        for each in residents:
            self.ledger.release(self.node.id, each.request)

    def _assign(self, residents: Iterable[Resident]) -> None:
        for each in residents:
            self.ledger.assign(self.node.id, each.request)


def _orders(residents: list[Resident], node: NodeView) -> list[list[Resident]]:
    """In which they come back: the important ones first; the small ones of these first, or the large ones."""
    small_first, large_first = (
        sorted(residents, key=lambda each, sign=sign: (-each.request.priority, sign * _size(each, node), each.task))  # type: ignore[misc]
        for sign in (1, -1)
    )
    return [small_first] if small_first == large_first else [small_first, large_first]


def _cost(victims: Sequence[Resident], node: NodeView) -> tuple[int, int, float]:
    highest = max(each.request.priority for each in victims)
    return highest, len(victims), sum(_size(each, node) for each in victims)


def _size(resident: Resident, node: NodeView) -> float:
    reserved, capacity = resident.request.reservations, node.capacity
    if capacity is None:
        return 0.0
    cpus = reserved.cpus / capacity.cpus if capacity.cpus else 0.0
    return cpus + (reserved.memory_bytes / capacity.memory_bytes if capacity.memory_bytes else 0.0)
