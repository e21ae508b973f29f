"""Prometheus metrics of this peer, read from its state at the moment of the scrape: nothing is counted twice."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from swarmlet.api.peer import Peer
from swarmlet.api.schema import RaftRole
from swarmlet.api.usage_metrics import usage_metrics
from swarmlet.model.observed import Liveness

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Counters = Callable[[], Mapping[str, Mapping[str, int]]]
"""The agent's counters: part -> name -> count."""


class PeerCollector(Collector):
    def __init__(self, peer: Peer, counters: Counters) -> None:
        self._peer, self._counters = peer, counters

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        consensus = self._peer.consensus
        yield _gauge("swarmlet_raft_term", "Raft term", consensus.raft.term)
        yield _gauge("swarmlet_raft_commit_index", "Raft commit index", consensus.raft.commit_index)
        yield _gauge("swarmlet_raft_applied_index", "Index applied to the store", consensus.applied_index)
        leads = self._peer.roles().get(self._peer.node_id) is RaftRole.LEADER
        yield _gauge("swarmlet_raft_leader", "1 while this node leads", int(leads))
        yield _gauge("swarmlet_storage_failed", "1 while the disk takes no writes", int(not consensus.takes_part))
        lost_tail = consensus.raft.lost_tail is not None
        yield _gauge("swarmlet_storage_lost_tail", "1 while the log lacks what was acknowledged", int(lost_tail))
        stalled = consensus.raft.disk_is_stalled
        yield _gauge("swarmlet_storage_stalled", "1 while a write has been under way for seconds", int(stalled))
        yield _gauge("swarmlet_store_revision", "Store revision", consensus.store.revision)
        yield _gauge("swarmlet_store_objects", "Objects in the store", consensus.store.object_count)
        yield _gauge("swarmlet_store_size_bytes", "Size of all objects", consensus.store.size_bytes)
        yield _gauge("swarmlet_store_size_bytes_max", "What is allowed of it", consensus.room.size_bytes_max)
        yield _gauge("swarmlet_snapshots_taken", "Snapshots taken of the store", consensus.snapshots.taken)
        longest = consensus.snapshots.longest_step_s
        yield _gauge("swarmlet_snapshot_longest_step_seconds", "Longest hold of the event loop by a snapshot", longest)
        distrusted = int(consensus.machine.distrusted)
        yield _gauge("swarmlet_store_diverged", "1 while this node's state differs from the majority's", distrusted)
        nodes = GaugeMetricFamily("swarmlet_nodes", "Nodes by liveness, as seen from here", labels=["liveness"])
        observed = self._peer.membership.observed()
        for liveness in Liveness:
            count = sum(1 for node in observed.nodes.values() if node.liveness is liveness)
            nodes.add_metric([liveness], count)
        yield nodes
        tasks = GaugeMetricFamily("swarmlet_tasks", "Tasks of this node by phase", labels=["phase"])
        own = observed.nodes.get(self._peer.node_id)
        by_phase: dict[str, int] = {}
        for status in own.tasks.values() if own else ():
            by_phase[status.phase] = by_phase.get(status.phase, 0) + 1
        for phase, count in sorted(by_phase.items()):
            tasks.add_metric([phase], count)
        yield tasks
        yield from usage_metrics(self._peer)
        counted = CounterMetricFamily("swarmlet_events", "Internal events by part and name", labels=["part", "name"])
        for part, counters in self._counters().items():
            for name, value in counters.items():
                counted.add_metric([part, name], value)
        yield counted


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def metrics_route(peer: Peer, counters: Counters) -> web.RouteDef:
    registry = CollectorRegistry()
    registry.register(PeerCollector(peer, counters))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": METRICS_TYPE})

    return web.get("/metrics", metrics)
