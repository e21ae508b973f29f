"""Made-up clusters and services for the scheduler's benchmark, the same for the same seed."""

from random import Random

from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.objects import NodeStatus
from swarmlet.model.observed import Liveness
from swarmlet.model.placement import Constraint, NodePreference, Placement, ServiceAffinity, Strategy
from swarmlet.model.spec import Resources
from swarmlet.scheduler import NodeView, PlacementRequest

MIB = 1024 * 1024
ZONE = "node.labels.zone"
ZONES = 10
REPLICAS_MAX = 60

Load = list[tuple[PlacementRequest, int]]
"""Services, and how many tasks each is to have."""


def nodes_of(rng: Random, count: int, even: bool = False) -> list[NodeView]:
    return [
        NodeView(
            id=NodeId(f"id{number:05}"),
            name=f"n{number:05}",
            status=NodeStatus.UP,
            liveness=Liveness.ALIVE,
            capacity=Resources(cpus=8, memory_bytes=16384 * MIB)
            if even
            else Resources(cpus=rng.choice([4, 8, 16]), memory_bytes=rng.choice([8, 16, 32]) * 1024 * MIB),
            labels={"zone": f"z{number % ZONES}", "disk": rng.choice(["ssd", "ssd", "hdd"])},
            os="linux",
            architecture=rng.choice(["amd64", "amd64", "amd64", "arm64"]),
        )
        for number in range(count)
    ]


def plain_load(rng: Random, tasks: int) -> Load:
    return _load(rng, tasks, lambda _rng, _number: Placement())


def mixed_load(rng: Random, tasks: int) -> Load:
    """Two of three services ask for something."""
    return _load(rng, tasks, _placement)


def single_load(rng: Random, tasks: int) -> Load:
    return [(_request(rng, number, Placement()), 1) for number in range(tasks)]


def _load(rng: Random, tasks: int, placement) -> Load:  # type: ignore[no-untyped-def]
    load: Load = []
    left = tasks
    while left:
        replicas = min(left, rng.randint(1, REPLICAS_MAX))
        load.append((_request(rng, len(load), placement(rng, len(load))), replicas))
        left -= replicas
    return load


def _request(rng: Random, number: int, placement: Placement) -> PlacementRequest:
    reserved = Resources(cpus=rng.choice([0, 0.1, 0.25, 0.5]), memory_bytes=rng.choice([0, 64, 256, 512]) * MIB)
    return PlacementRequest(ServiceId(f"s{number}.x"), reserved, placement)


def _placement(rng: Random, number: int) -> Placement:
    match rng.randrange(9):
        case 0:
            return Placement(constraints=(Constraint(attribute="node.labels.disk", value="ssd"),))
        case 1:
            return Placement(spread=(ZONE,), platform="linux/amd64")
        case 2:
            return Placement(affinities=(ServiceAffinity(service=f"s{number}.x", away=True),))
        case 3:
            return Placement(affinities=(ServiceAffinity(service=_earlier(rng, number), per=ZONE),))
        case 4:
            others = ServiceAffinity(service=_earlier(rng, number), away=True, required=False)
            disk = NodePreference(constraint=Constraint(attribute="node.labels.disk", value="ssd"))
            return Placement(affinities=(others,), preferences=(disk,))
        case 5:
            return Placement(strategy=Strategy.BINPACK, per_node_max=4)
        case _:
            return Placement()


def _earlier(rng: Random, number: int) -> str:
    return f"s{rng.randrange(max(number, 1))}.x"


def random_items(rng: Random, count: int) -> list[Resources]:
    """From a hundredth to a half of a node, processors and memory on their own."""
    return [
        Resources(cpus=round(8 * rng.uniform(0.01, 0.5), 2), memory_bytes=int(16384 * rng.uniform(0.01, 0.5)) * MIB)
        for _ in range(count)
    ]
