"""A node that flaps is avoided: it gets tasks only when no steady one can take them."""

from collections.abc import Iterable
from typing import ClassVar

from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.rules import Ranking

FLAPPING_DOWNS = 3
"""So often down within the time that `NodeView.downs` counts: more than a reboot and a mishap."""


class SteadyNodes:
    name: ClassVar[str] = "steady-nodes"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        if cluster.downs_max >= FLAPPING_DOWNS:
            yield Ranking(lambda node: float(node.downs >= FLAPPING_DOWNS), _explain)


def _explain(node: NodeView) -> str:
    times = f"went down {node.downs} times of late" if node.downs else "did not go down of late"
    return f"{times}: avoided" if node.downs >= FLAPPING_DOWNS else times
