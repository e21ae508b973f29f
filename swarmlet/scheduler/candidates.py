"""The candidates for one request, in the order of their rank, for many equal tasks in a row.

A placement changes what rules say of the node that got the task, and where rules look at wider places (a zone), of all
nodes in its place alike. So nodes stand in cells: those of one cell are in the same place by every attribute that the
request's rules look at. Within a cell only what is said of single nodes tells them apart: that order, a heap, changes
for one node at a time. The cells stand in a heap of their own by the full rank of their best node; what rules say of
places never gets better, so a cell whose rank is out of date is put right when it comes to the top.

N nodes and T equal tasks cost about N + T·log N.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping

from swarmlet.model.ids import NodeId
from swarmlet.model.placement import NODE_ID
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.nodes import NodeView
from swarmlet.scheduler.rules import Prepared, Rank

_Entry = tuple[Rank, NodeView]
"""A rank ends with the node's id, so none are equal."""


class Candidates:
    def __init__(self, prepared: Prepared, nodes: Iterable[NodeView], cluster: Cluster) -> None:
        """`nodes`: those that no fixed filter refuses."""
        self._rankings = [ranking for _, ranking in prepared.scores]
        self._own_values = [ranking.value for ranking in self._rankings if ranking.per == NODE_ID]
        changing = [refusing for rule, refusing in prepared.filters if not rule.fixed]
        self._own_refusals = [refusing.refusal for refusing in changing if refusing.per == NODE_ID]
        self._wide_refusals = [refusing.refusal for refusing in changing if refusing.per != NODE_ID]
        wide = sorted({*(each.per for each in self._rankings), *(each.per for each in changing)} - {NODE_ID})
        self._cells = self._make_cells(nodes, [cluster.values(per) for per in wide])
        self._best: list[tuple[Rank, int]] = []
        for number, cell in enumerate(self._cells):
            heapq.heapify(cell)
            if (rank := self._rank(number)) is not None:
                self._best.append((rank, number))
        heapq.heapify(self._best)

    def best(self) -> NodeView | None:
        while self._best:
            rank, number = self._best[0]
            current = self._rank(number)
            if current is None:
                heapq.heappop(self._best)
            elif current != rank:
                heapq.heapreplace(self._best, (current, number))
            else:
                return self._cells[number][0][1]
        return None

    def best_got_the_task(self) -> None:
        """The node that `best` gave was assigned a task of this request."""
        number = self._best[0][1]
        cell = self._cells[number]
        node = cell[0][1]
        if self._is_refused(node):
            heapq.heappop(cell)
        else:
            heapq.heapreplace(cell, self._entry(node))
        rank = self._rank(number)
        if rank is None:
            heapq.heappop(self._best)
        else:
            heapq.heapreplace(self._best, (rank, number))

    def _make_cells(self, nodes: Iterable[NodeView], values: list[Mapping[NodeId, str]]) -> list[list[_Entry]]:
        cells: dict[tuple[str, ...], list[_Entry]] = defaultdict(list)
        for node in nodes:
            if not self._is_refused(node):
                cells[tuple([value[node.id] for value in values])].append(self._entry(node))
        return list(cells.values())

    def _is_refused(self, node: NodeView) -> bool:
        return any([refusal(node) is not None for refusal in self._own_refusals])

    def _entry(self, node: NodeView) -> _Entry:
        return (*[value(node) for value in self._own_values], node.name, node.id), node

    def _rank(self, number: int) -> Rank | None:
        """The full rank of the cell's best node; None if nobody there can take a task any more."""
        cell = self._cells[number]
        if not cell:
            return None
        node = cell[0][1]
        if any(refusal(node) is not None for refusal in self._wide_refusals):
            return None
        return (*[ranking.value(node) for ranking in self._rankings], node.name, node.id)
