"""The ledger for many placements in a row: every node's account, and the candidates in the order of their rank.

Nothing is counted twice: the nodes' accounts are kept as placements are made. For one request the candidates
stand in a heap; a placement changes the rank of one node only, and only for the worse (a promise of every
filter and score). So an entry that is out of date is ranked anew when it comes to the top, and the first one
that is up to date is the best node: N nodes and T equal tasks cost about N + T·log N, not N·T. A release may
make a node better, so it drops the heap.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swarmlet.model.ids import NodeId
from swarmlet.scheduler.filters import FILTERS, Filter
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.placement import Placement, Rank, Unplaceable, rank_of, refusal, unplaceable
from swarmlet.scheduler.scores import SCORES, Score


@dataclass(slots=True)
class _Candidates:
    """Only the latest request's are kept: services are placed one after the other."""

    request: PlacementRequest
    heap: list[tuple[Rank, int, NodeView]]
    """Rank, the node's `changes` when it was ranked, the node. A rank ends with the node's id, so none are equal."""


class ClusterCapacity:
    def __init__(
        self,
        nodes: Iterable[NodeView],
        filters: Sequence[Filter] = FILTERS,
        scores: Sequence[Score] = SCORES,
    ) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._filters = filters
        self._scores = scores
        self._candidates: _Candidates | None = None

    @property
    def nodes(self) -> Sequence[NodeView]:
        return list(self._nodes.values())

    def node(self, node: NodeId) -> NodeView | None:
        return self._nodes.get(node)

    def assign(self, node: NodeId, request: PlacementRequest, *, leaving: bool = False) -> None:
        """Count a task that is there already. Tasks on nodes that the ledger does not know are no one's load."""
        if found := self._nodes.get(node):
            found.assign(request, leaving=leaving)

    def release(self, node: NodeId, request: PlacementRequest, *, leaving: bool = False) -> None:
        if found := self._nodes.get(node):
            found.release(request, leaving=leaving)
            self._candidates = None

    def place(self, request: PlacementRequest) -> Placement | Unplaceable:
        """Find the best node for one task and assign the task to it."""
        best = self._best(request)
        if best is None:
            return unplaceable(request, self._nodes.values(), self._filters)
        best.assign(request)
        return Placement(best.id)

    def place_on(self, node: NodeId, request: PlacementRequest) -> Placement | Unplaceable:
        """The same for a task whose node is given (one task on every node): filters still hold."""
        found = self._nodes.get(node)
        if found is None:
            return Unplaceable({node: "is not a member"}, {node: node})
        if refusal(request, found, self._filters) is not None:
            return unplaceable(request, [found], self._filters)
        found.assign(request)
        return Placement(node)

    def _best(self, request: PlacementRequest) -> NodeView | None:
        heap = self._heap_for(request)
        while heap:
            _rank, changes, node = heap[0]
            if changes == node.changes:
                return node
            if refusal(request, node, self._filters) is None:
                heapq.heapreplace(heap, self._entry(request, node))
            else:
                heapq.heappop(heap)
        return None

    def _heap_for(self, request: PlacementRequest) -> list[tuple[Rank, int, NodeView]]:
        if self._candidates is None or self._candidates.request != request:
            fitting = [node for node in self._nodes.values() if refusal(request, node, self._filters) is None]
            heap = [self._entry(request, node) for node in fitting]
            heapq.heapify(heap)
            self._candidates = _Candidates(request, heap)
        return self._candidates.heap

    def _entry(self, request: PlacementRequest, node: NodeView) -> tuple[Rank, int, NodeView]:
        return rank_of(request, node, self._scores), node.changes, node
