"""How long placing takes, how tight it packs and how even it spreads: `scripts/bench scheduler`. One core, no agents.

Times are of this process's own CPU. `--from BACKUP` replays a cluster's own backup instead: all of its services are
placed anew on its nodes, whose sizes are not part of a backup and are given (`--cpus`, `--memory`).
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from benchmarks.report import Row, finish, row
from benchmarks.scheduler_loads import MIB, Load, mixed_load, nodes_of, plain_load, random_items, single_load
from benchmarks.scheduler_replay import replay_rows
from swarmlet.model.ids import ServiceId, TaskId
from swarmlet.model.placement import Placement, Strategy
from swarmlet.model.spec import Resources
from swarmlet.scheduler import ClusterCapacity, NodeView, Placed, PlacementRequest
from swarmlet.scheduler.preemption import Preemption, Resident

TASKS = 10_000
NODES = 1_000
PLACED_S_MAX = 10.0
ONE_MORE_MS_MAX = 5.0
ONE_MORE_ASKED = 200
PACKING_MAX = 1.05
PACKED_ITEMS = 3_000
UNEVEN_MAX = 1.0
DISPLACED_FOR = 20
FULL_NODES = 100
TASKS_PER_NODE = 20
DISPLACING_MS_MAX = 50.0
BINPACK = Placement(strategy=Strategy.BINPACK)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench scheduler", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="backup", type=Path, metavar="BACKUP", help="replay this backup")
    parser.add_argument("--cpus", type=float, default=8.0, help="of each of its nodes")
    parser.add_argument("--memory", type=int, default=32 * 1024, metavar="MIB", help="of each of its nodes")
    given = parser.parse_args()
    if given.backup is not None:
        capacity = Resources(cpus=given.cpus, memory_bytes=given.memory * MIB)
        return finish("scheduler-replay", replay_rows(given.backup, capacity, given.rounds))
    rows = [*_placing_rows(given.rounds, given.seed), *_packing_rows(given.rounds, given.seed)]
    return finish("scheduler", [*rows, _evenness_row(given.seed), _displacing_row(given.rounds)])


def cpu_s(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def place_all(ledger: ClusterCapacity, load: Load) -> int:
    """How many found a place."""
    placed = 0
    for request, replicas in load:
        for _ in range(replicas):
            if not isinstance(ledger.place(request), Placed):
                break
            placed += 1
    return placed


def _placing_rows(rounds: int, seed: int) -> list[Row]:
    rows = []
    loads = {
        "plain": plain_load,
        "constraints, affinities, zones": mixed_load,
        "a service each": single_load,
    }
    for name, make in loads.items():
        spent, more = [], []
        for number in range(rounds):
            rng = Random(seed + number)
            load, nodes = make(rng, TASKS), nodes_of(rng, NODES)
            ledger = ClusterCapacity(())

            def place(nodes: list[NodeView] = nodes, load: Load = load) -> None:
                nonlocal ledger
                ledger = ClusterCapacity(nodes)
                placed = place_all(ledger, load)
                assert placed > 0.95 * TASKS, f"the load does not fit: {placed} of {TASKS}"

            spent.append(cpu_s(place))
            more += _one_more_ms(ledger, make(Random(seed + number + 1_000), TASKS))
        rows.append(row(f"{TASKS:,} tasks on {NODES:,} nodes, {name}", spent, "s", at_most=PLACED_S_MAX))
        rows.append(row(f"one more task, {name}", more, "ms", at_most=ONE_MORE_MS_MAX))
        rows.append(row(f"one more task, {name}, slowest of 100", [_percentile(more, 0.99)], "ms"))
    return rows


def _one_more_ms(ledger: ClusterCapacity, load: Load) -> list[float]:
    """One task of a service that was not there before, each time."""
    found = []
    for number, (request, _) in enumerate(load[:ONE_MORE_ASKED]):
        new = PlacementRequest(
            ServiceId(f"new{number}.x"), request.reservations, request.placement, host_ports=request.host_ports
        )
        found.append(cpu_s(lambda new=new: ledger.place(new)) * 1_000)  # type: ignore[misc]
    return found


def _percentile(samples: Sequence[float], part: float) -> float:
    return sorted(samples)[min(int(part * len(samples)), len(samples) - 1)]


def _packing_rows(rounds: int, seed: int) -> list[Row]:
    """Nodes in use, beside what the best fit in decreasing order needs, which knows everything beforehand."""
    as_they_come, bound = [], []
    for number in range(rounds):
        items = random_items(Random(seed + number), PACKED_ITEMS)
        bound.append(float(_best_fit_decreasing(items)))
        as_they_come.append(float(_packed(items)))
    ratios = [ours / theirs for ours, theirs in zip(as_they_come, bound, strict=True)]
    return [
        row("nodes for a random mix, as it comes", as_they_come, "", peer="best fit decreasing", peer_samples=bound),
        row("  of the best fit in decreasing order", ratios, "×", at_most=PACKING_MAX),
    ]


def _packed(items: list[Resources]) -> int:
    nodes = nodes_of(Random(0), len(items), even=True)
    ledger = ClusterCapacity(nodes)
    for number, item in enumerate(items):
        answer = ledger.place(PlacementRequest(ServiceId(f"s{number}.x"), item, BINPACK))
        assert isinstance(answer, Placed)
    return sum(node.tasks > 0 for node in nodes)


def _best_fit_decreasing(items: list[Resources]) -> int:
    """Independent of the scheduler: both shares of a node count alike."""
    capacity = nodes_of(Random(0), 1, even=True)[0].capacity
    assert capacity is not None
    shares = [(item.cpus / capacity.cpus, item.memory_bytes / capacity.memory_bytes) for item in items]
    left: list[tuple[float, float]] = []
    for cpus, memory in sorted(shares, key=sum, reverse=True):
        fitting = [
            (free[0] + free[1], at)
            for at, free in enumerate(left)
            if free[0] >= cpus - 1e-9 and free[1] >= memory - 1e-9
        ]
        if fitting:
            _, at = min(fitting)
            left[at] = (left[at][0] - cpus, left[at][1] - memory)
        else:
            left.append((1 - cpus, 1 - memory))
    return len(left)


def _evenness_row(seed: int) -> Row:
    """The most that any service is off even, over nodes and over zones, in a cluster with room for all."""
    rng, worst = Random(seed), 0
    nodes = nodes_of(rng, 60)
    ledger = ClusterCapacity(nodes)
    for number in range(60):
        zones = number % 2 == 1
        placement = Placement(spread=("node.labels.zone",)) if zones else Placement()
        request = PlacementRequest(ServiceId(f"s{number}.x"), Resources(memory_bytes=8 * MIB), placement)
        assert place_all(ledger, [(request, replicas := rng.randint(1, 200))]) == replicas
        counts = [node.tasks_of.get(request.service, 0) for node in nodes]
        if zones:
            by_zone: dict[str, int] = {}
            for node, count in zip(nodes, counts, strict=True):
                by_zone[node.labels["zone"]] = by_zone.get(node.labels["zone"], 0) + count
            counts = list(by_zone.values())
        worst = max(worst, max(counts) - min(counts))
    return row("most tasks off even, over nodes and zones", [float(worst)], "", at_most=UNEVEN_MAX)


def _displacing_row(rounds: int) -> Row:
    """Important tasks in a full cluster, five lesser ones for each, as one look of the leader finds them."""
    spent = [cpu_s(_displacing()) * 1_000 for _ in range(rounds)]
    what = f"make room for {DISPLACED_FOR} tasks on {FULL_NODES} full nodes of {TASKS_PER_NODE}"
    return row(what, spent, "ms", at_most=DISPLACING_MS_MAX)


def _displacing() -> Callable[[], None]:
    nodes = nodes_of(Random(0), FULL_NODES, even=True)
    lesser = PlacementRequest(ServiceId("lesser.x"), Resources(cpus=8 / TASKS_PER_NODE))
    important = PlacementRequest(ServiceId("important.x"), Resources(cpus=5 * 8 / TASKS_PER_NODE), priority=1)
    ledger = ClusterCapacity(nodes)
    residents = {node.id: [Resident(TaskId(f"{node.id}-{n}"), lesser) for n in range(TASKS_PER_NODE)] for node in nodes}
    for node, there in residents.items():
        for each in there:
            ledger.assign(node, each.request)
    preemption = Preemption(ledger, residents)

    def displace() -> None:
        for _ in range(DISPLACED_FOR):
            found = preemption.displace(important)
            assert found is not None and len(found.victims) == 5
            for victim in found.victims:
                ledger.release(found.node, victim.request)
                residents[found.node].remove(victim)
            ledger.assign(found.node, important)

    return displace


if __name__ == "__main__":
    sys.exit(main())
