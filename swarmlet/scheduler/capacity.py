"""The ledger for many placements in a row: every node's account, and the candidates in the order of their rank.

Nothing is counted twice: the nodes' accounts are kept as placements are made. For the first task of a request the rules
narrow the nodes down one after the other, which asks the later ones about few. Only with a second, equal request right
after it are candidates brought into an order, which is kept for as long as nothing but its own placements happens. The
answers of fixed filters are kept for all requests that ask the same of the nodes.
"""

from collections.abc import Iterable, Sequence

from swarmlet.model.ids import NodeId
from swarmlet.model.placement import Constraint, Toleration
from swarmlet.scheduler.candidates import Candidates
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.placement import RULES, Placed, Unplaceable, unplaceable
from swarmlet.scheduler.rules import Prepared, Rules

_Asked = tuple[tuple[Constraint, ...], str, tuple[Toleration, ...], bool]
"""All that fixed filters look at of a request."""


class ClusterCapacity:
    def __init__(self, nodes: Iterable[NodeView], rules: Rules = RULES) -> None:
        self._cluster = Cluster(nodes)
        self._rules = rules
        self._open: dict[_Asked, list[NodeView]] = {}
        self._request: PlacementRequest | None = None
        self._candidates: Candidates | None = None

    @property
    def nodes(self) -> Sequence[NodeView]:
        return list(self._cluster.nodes.values())

    @property
    def cluster(self) -> Cluster:
        return self._cluster

    def node(self, node: NodeId) -> NodeView | None:
        return self._cluster.nodes.get(node)

    def assign(self, node: NodeId, request: PlacementRequest, *, leaving: bool = False) -> None:
        """Count a task that is there already. Tasks on nodes that the ledger does not know are no one's load."""
        if found := self._cluster.nodes.get(node):
            self._cluster.book(found, request, 1, leaving)
            self._candidates = None

    def release(self, node: NodeId, request: PlacementRequest, *, leaving: bool = False) -> None:
        if found := self._cluster.nodes.get(node):
            assert found.tasks > 0, f"released more tasks than were assigned to {found.name}"
            self._cluster.book(found, request, -1, leaving)
            self._candidates = None

    def place(self, request: PlacementRequest) -> Placed | Unplaceable:
        """Find the best node for one task and assign the task to it."""
        node = self.take_best(request)
        return unplaceable(request, self._cluster, self._rules) if node is None else Placed(node)

    def take_best(self, request: PlacementRequest) -> NodeId | None:
        """`place` for who does not ask why there is no room: to say so takes longer than to find out."""
        if self._request is not request and self._request != request:
            self._candidates = None
            best = self._first(request)
        else:
            best = self._ordered(request).best()
        self._request = request
        if best is None:
            return None
        self._cluster.book(best, request, 1, False)
        if self._candidates is not None:
            self._candidates.best_got_the_task()
        return best.id

    def place_on(self, node: NodeId, request: PlacementRequest) -> Placed | Unplaceable:
        """The same for a task whose node is given (one task on every node): filters still hold."""
        found = self._cluster.nodes.get(node)
        if found is None:
            return Unplaceable({node: "is not a member"}, {node: node})
        refusal = self.filters(request).refusal(found)
        if refusal is not None:
            return Unplaceable({node: refusal}, {node: found.name})
        self._cluster.book(found, request, 1, False)
        self._candidates = None
        return Placed(node)

    def refusal(self, node: NodeId, request: PlacementRequest) -> str | None:
        """Why a task can't go there as things are."""
        return self.filters(request).refusal(self._cluster.nodes[node])

    def filters(self, request: PlacementRequest) -> Prepared:
        """To ask many nodes, or one again after some of those that are counted now were released or came back."""
        return Prepared.filters_of(request, self._cluster, self._rules)

    def _first(self, request: PlacementRequest) -> NodeView | None:
        prepared = Prepared.of(request, self._cluster, self._rules)
        nodes = self._open_nodes(request, prepared)
        for rule, refusing in prepared.filters:
            if not rule.fixed:
                refusal = refusing.refusal
                nodes = [node for node in nodes if refusal(node) is None]
        for _, ranking in prepared.scores:
            if len(nodes) < 2:
                break
            values = [ranking.value(node) for node in nodes]
            least = min(values)
            if values.count(least) < len(values):
                nodes = [node for node, value in zip(nodes, values, strict=True) if value == least]
        return nodes[0] if nodes else None

    def _ordered(self, request: PlacementRequest) -> Candidates:
        if self._candidates is None:
            prepared = Prepared.of(request, self._cluster, self._rules)
            self._candidates = Candidates(prepared, self._open_nodes(request, prepared), self._cluster)
        return self._candidates

    def _open_nodes(self, request: PlacementRequest, prepared: Prepared) -> list[NodeView]:
        """Those that no fixed filter refuses, by name and id."""
        wanted = request.placement
        asked = (wanted.constraints, wanted.platform, wanted.tolerations, request.on_every_node)
        if asked not in self._open:
            refusals = [refusing.refusal for rule, refusing in prepared.filters if rule.fixed]
            self._open[asked] = [
                node
                for node in sorted(self._cluster.nodes.values(), key=lambda node: (node.name, node.id))
                if not any(refusal(node) is not None for refusal in refusals)
            ]
        return self._open[asked]
