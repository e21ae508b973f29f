"""All nodes together, and what is counted over groups of them: the places that nodes with one value of a label make.

Counts are made when first asked for and kept up to date as tasks are assigned and released through here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.scheduler.nodes import NodeView, PlacementRequest

Counts = dict[str, int]
"""By the value of the attribute that makes a place."""


@dataclass(frozen=True, slots=True)
class Places:
    """One attribute's values, and how many tasks of one kind are in each place. Live."""

    of: Mapping[NodeId, str]
    counts: Counts

    def count(self, node: NodeView) -> int:
        return self.counts.get(self.of[node.id], 0)


class Cluster:
    def __init__(self, nodes: Iterable[NodeView]) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.downs_max = max((node.downs for node in self.nodes.values()), default=0)
        self._total: Counter[ServiceId] = Counter()
        """Tasks of each service that are to stay: most services are asked for before they have any."""
        self._values: dict[str, dict[NodeId, str]] = {}
        self._tasks: dict[ServiceId, dict[str, Counts]] = defaultdict(dict)
        self._repelled: dict[ServiceId, dict[str, Counts]] = defaultdict(dict)
        for node in self.nodes.values():
            self._total.update(node.tasks_of)
            for (per, service), count in node.repelled.items():
                self._repel(node, per, service, count)

    def values(self, per: str) -> Mapping[NodeId, str]:
        """The attribute's value on every node."""
        if per not in self._values:
            self._values[per] = {node.id: node.attribute(per) for node in self.nodes.values()}
        return self._values[per]

    def tasks(self, per: str, service: ServiceId) -> Places:
        """Tasks of the service that are to stay."""
        values = self.values(per)
        if per not in self._tasks[service]:
            counts: Counts = {}
            for node in self.nodes.values() if self._total[service] else ():
                if count := node.tasks_of.get(service, 0):
                    counts[values[node.id]] = counts.get(values[node.id], 0) + count
            self._tasks[service][per] = counts
        return Places(values, self._tasks[service][per])

    def repelled(self, service: ServiceId) -> dict[str, Places]:
        """By attribute, the tasks that keep the service away from their places."""
        if service not in self._repelled:
            return {}
        return {per: Places(self.values(per), counts) for per, counts in self._repelled[service].items()}

    def book(self, node: NodeView, request: PlacementRequest, count: int, leaving: bool) -> None:
        node.book(request, count, leaving)
        if leaving:
            return
        self._total[request.service] += count
        if request.service in self._tasks:
            for per, counts in self._tasks[request.service].items():
                value = self._values[per][node.id]
                counts[value] = counts.get(value, 0) + count
        if request.placement.affinities:
            for per, service in request.repels:
                self._repel(node, per, service, count)

    def _repel(self, node: NodeView, per: str, service: ServiceId, count: int) -> None:
        counts = self._repelled[service].setdefault(per, {})
        value = self.values(per)[node.id]
        counts[value] = counts.get(value, 0) + count
