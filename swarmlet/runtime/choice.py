"""Which runtime a node uses: as configured, or Podman where its socket answers and plain processes elsewhere."""

from pathlib import Path
from typing import Literal

import structlog

from swarmlet.model.ids import NodeId
from swarmlet.runtime.interface import Runtime, RuntimeUnavailable
from swarmlet.runtime.podman import PodmanRuntime
from swarmlet.runtime.process import ProcessRuntime

log = structlog.get_logger()


async def open_runtime(
    kind: Literal["auto", "podman", "process"],
    *,
    podman_socket: str,
    workers: int,
    images_dir: Path,
    state_dir: Path,
    cluster: str,
    node_id: NodeId,
) -> Runtime:
    """`podman` is taken as it is, even while its engine is down: that shows in the tasks' statuses, and may pass."""
    processes = ProcessRuntime(state_dir, images_dir, cluster, node_id)
    if kind == "process":
        return processes
    podman = PodmanRuntime(podman_socket, cluster, node_id, state_dir, workers)
    if kind == "podman":
        return podman
    try:
        await podman.list()
    except RuntimeUnavailable as error:
        log.info("runtime_chosen", runtime=processes.name, because=str(error))
        await podman.close()
        return processes
    log.info("runtime_chosen", runtime=podman.name, because=f"{podman_socket} answers")
    await processes.close()
    return podman
