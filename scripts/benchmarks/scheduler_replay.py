"""A cluster's own backup, placed anew: how long it takes, and how it comes out beside what the cluster has."""

import time
from collections import Counter
from pathlib import Path

from benchmarks.report import Row, row
from swarmlet.controllers.node_views import node_view, request_of
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Desired, Node
from swarmlet.model.observed import Address, Liveness, NodeFacts, ObservedNode
from swarmlet.model.pieces import joined
from swarmlet.model.spec import Mode, Resources
from swarmlet.model.state import ClusterState
from swarmlet.recovery.backup_file import read_backup
from swarmlet.scheduler import ClusterCapacity, Placed
from swarmlet.store import Store

NOWHERE = Address("127.0.0.1", 1)


def replay_rows(file: Path, capacity: Resources, rounds: int) -> list[Row]:
    store = Store.restore(joined(read_backup(file).pieces))
    state = ClusterState.of(((each.key, each.value, each.modified_revision) for each in store.scan("")), store.revision)
    print(f"{file}: {len(state.nodes)} nodes, {len(state.services)} services, {len(state.tasks)} tasks")
    print("taken to be alive, of the size given, with the labels that people set on them (others are in no backup)")
    spent, one_more, placed, wanted = [], [], 0, 0
    counts: Counter[NodeId] = Counter()
    for _ in range(rounds):
        before = time.process_time()
        ledger = ClusterCapacity(
            node_view(each.value, _seen(each.value, capacity), (), time.time()) for each in state.nodes.values()
        )
        placed, wanted = _place(state, ledger)
        spent.append(time.process_time() - before)
        counts = Counter({node.id: node.tasks for node in ledger.nodes})
        one_more += _one_more_ms(state, ledger)
    now = Counter(each.value.node for each in state.tasks.values() if each.value.desired is Desired.RUN)
    return [
        row(f"{wanted} tasks on {len(state.nodes)} nodes", spent, "s"),
        row("one more task of each service", one_more or [0.0], "ms"),
        row("tasks that find no place", [float(wanted - placed)], ""),
        row("most tasks on a node, beside the cluster's", [float(max(counts.values(), default=0))], "", peer="now",
            peer_samples=[float(max(now.values(), default=0))]),
    ]  # fmt: skip


def _seen(node: Node, capacity: Resources) -> ObservedNode:
    facts = NodeFacts(
        name=node.name, version="", runtime="", architecture="amd64", cpus=capacity.cpus,
        memory_bytes=capacity.memory_bytes,
    )  # fmt: skip
    return ObservedNode(node.id, node.name, NOWHERE, Liveness.ALIVE, facts)


def _place(state: ClusterState, ledger: ClusterCapacity) -> tuple[int, int]:
    placed = wanted = 0
    services = sorted(state.services.values(), key=lambda each: (-each.value.spec.priority, each.value.id))
    for service in (each.value for each in services):
        request = request_of(service.id, service.spec.template, service.spec)
        if service.spec.mode is Mode.GLOBAL:
            answers = [ledger.place_on(node, request) for node in state.nodes]
        else:
            answers = [ledger.place(request) for _ in range(service.spec.replicas)]
        wanted += len(answers)
        placed += sum(isinstance(each, Placed) for each in answers)
    return placed, wanted


def _one_more_ms(state: ClusterState, ledger: ClusterCapacity) -> list[float]:
    found = []
    for service in (each.value for each in state.services.values()):
        request = request_of(service.id, service.spec.template, service.spec)
        before = time.process_time()
        ledger.place(request)
        found.append((time.process_time() - before) * 1_000)
    return found
