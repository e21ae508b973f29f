"""What people wish without requiring it: certain nodes, certain neighbours. Weights are added up."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from swarmlet.model.placement import NODE_ID, NodePreference, ServiceAffinity
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.filters.affinity import neighbours, place_text
from swarmlet.scheduler.filters.attributes import normal
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.rules import Ranking


class PreferredNodes:
    """`affinity` and `anti_affinity` to nodes."""

    name: ClassVar[str] = "preferred-nodes"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        wishes = [(wish, normal(wish.constraint)) for wish in request.placement.preferences]
        if not wishes:
            return

        def met(node: NodeView) -> list[NodePreference]:
            return [wish for wish, liked in wishes if liked.holds(node.attribute(liked.attribute))]

        def value(node: NodeView) -> float:
            return sum(wish.weight if wish.away else -wish.weight for wish in met(node))

        def explain(node: NodeView) -> str:
            said = [f"{'avoided' if wish.away else 'preferred'}: {wish.constraint}" for wish in met(node)]
            return ", ".join(said) or "neither preferred nor avoided"

        yield Ranking(value, explain)


class PreferredNeighbours:
    """`affinity` and `anti_affinity` to services, not required. Beside: that there is one; away: how many there are."""

    name: ClassVar[str] = "preferred-neighbours"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        for wish in request.placement.affinities:
            if not wish.required:
                yield _ranking(wish, neighbours(wish, cluster))


def _ranking(wish: ServiceAffinity, count: Callable[[NodeView], int]) -> Ranking:
    def value(node: NodeView) -> float:
        return wish.weight * count(node) if wish.away else -wish.weight * (count(node) > 0)

    def explain(node: NodeView) -> str:
        return (
            f"{count(node)} of {wish.service} {place_text(wish.per, node)}, to be {'away' if wish.away else 'beside'}"
        )

    return Ranking(value, explain, wish.per or NODE_ID)
