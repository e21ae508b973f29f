"""The ledger for many placements in a row: every node's account, and the candidates in the order of their rank.

Nothing is counted twice: the nodes' accounts are kept as placements are made. Candidates are kept for the latest
request only (services are placed one after the other), and for as long as nothing but its own placements happens; the
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
        candidates = self._candidates_for(request)
        best = candidates.best()
        if best is None:
            return unplaceable(request, self._cluster, self._rules)
        self._cluster.book(best, request, 1, False)
        candidates.best_got_the_task()
        return Placed(best.id)

    def place_on(self, node: NodeId, request: PlacementRequest) -> Placed | Unplaceable:
        """The same for a task whose node is given (one task on every node): filters still hold."""
        found = self._cluster.nodes.get(node)
        if found is None:
            return Unplaceable({node: "is not a member"}, {node: node})
        refusal = Prepared.of(request, self._cluster, self._rules).refusal(found)
        if refusal is not None:
            return Unplaceable({node: refusal}, {node: found.name})
        self._cluster.book(found, request, 1, False)
        self._candidates = None
        return Placed(node)

    def refusal(self, node: NodeId, request: PlacementRequest) -> str | None:
        """Why a task can't go there as things are."""
        return Prepared.of(request, self._cluster, self._rules).refusal(self._cluster.nodes[node])

    def _candidates_for(self, request: PlacementRequest) -> Candidates:
        if self._candidates is None or (self._request is not request and self._request != request):
            prepared = Prepared.of(request, self._cluster, self._rules)
            self._candidates = Candidates(prepared, self._open_nodes(request, prepared), self._cluster)
            self._request = request
        return self._candidates

    def _open_nodes(self, request: PlacementRequest, prepared: Prepared) -> list[NodeView]:
        """Those that no fixed filter refuses."""
        wanted = request.placement
        asked = (wanted.constraints, wanted.platform, wanted.tolerations, request.on_every_node)
        if asked not in self._open:
            refusals = [refusing.refusal for rule, refusing in prepared.filters if rule.fixed]
            self._open[asked] = [
                node
                for node in self._cluster.nodes.values()
                if not any(refusal(node) is not None for refusal in refusals)
            ]
        return self._open[asked]
