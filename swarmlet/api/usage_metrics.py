"""Prometheus metrics of what this node's tasks use, and of the services that are scaled by it."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from swarmlet.api.peer import Peer
from swarmlet.controllers.autoscaling import autoscaled


def usage_metrics(peer: Peer) -> Iterator[Metric]:
    """Of tasks: this node's own, so that scraping every peer counts none twice."""
    observed = peer.membership.observed()
    cpus = GaugeMetricFamily(
        "swarmlet_task_cpus", "Processors in use by a task of this node", labels=["task", "service"]
    )
    memory = GaugeMetricFamily(
        "swarmlet_task_memory_bytes", "Memory in use by a task of this node", labels=["task", "service"]
    )
    own = observed.nodes.get(peer.node_id)
    for task, status in sorted(own.tasks.items()) if own else ():
        if (usage := observed.usage_of(peer.node_id, task)) is not None:
            cpus.add_metric([task, status.service], usage.cpu_milli / 1000)
            memory.add_metric([task, status.service], usage.memory_bytes)
    yield cpus
    yield memory
    replicas = GaugeMetricFamily(
        "swarmlet_autoscaled_replicas",
        "Replicas of an autoscaled service, and their bounds",
        labels=["service", "which"],
    )
    for id_, service in sorted(peer.consensus.replica.state.services.items()):
        if (scaling := autoscaled(service.value.spec)) is not None:
            replicas.add_metric([id_, "present"], service.value.spec.replicas)
            replicas.add_metric([id_, "min"], scaling.replicas_min)
            replicas.add_metric([id_, "max"], scaling.replicas_max)
    yield replicas
