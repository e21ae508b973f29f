"""What a node has already: the task's named volumes, its image."""

from collections.abc import Iterable
from typing import ClassVar

from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.nodes import PlacementRequest
from swarmlet.scheduler.rules import Ranking


class VolumesAreThere:
    """Of nodes that are even so far, the one that has the data."""

    name: ClassVar[str] = "volumes-are-there"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        volumes = request.volumes
        if volumes and any(node.volumes for node in cluster.nodes.values()):
            yield Ranking(
                lambda node: -sum(volume in node.volumes for volume in volumes),
                lambda node: f"{sum(volume in node.volumes for volume in volumes)} of its {len(volumes)} volumes",
            )


class ImageIsThere:
    """Of nodes with equally many tasks, one that need not fetch the image."""

    name: ClassVar[str] = "image-is-there"

    def ranking(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Ranking]:
        image = request.image
        if image and any(node.images for node in cluster.nodes.values()):
            yield Ranking(
                lambda node: float(image not in node.images),
                lambda node: "has the image" if image in node.images else "has to fetch the image",
            )
