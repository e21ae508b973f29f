"""A task's template in the engine's own words (the libpod API's SpecGenerator). Pure.

Rules:
- The engine restarts nothing and probes nothing: both are the node's work, so an image's own HEALTHCHECK is off.
- What must be known of a container later (its ports) is in its labels, never in the agent's memory.
- Logs go to a file with a limit: journald may be absent, and an unbounded log fills the disk.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from swarmlet.model.container import ContainerOptions
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Endpoint
from swarmlet.model.spec import Mount, MountKind, Resources
from swarmlet.runtime.interface import ContainerSpec, identity_labels, target_ports
from swarmlet.runtime.podman.container_options import options_payload

PORTS_LABEL = "io.swarmlet.ports"
CPU_PERIOD_US = 100_000


def container_payload(
    spec: ContainerSpec, cluster: str, node: NodeId, network: str, files: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """`files` are the mounts of configs and secrets, as the engine takes them."""
    template = spec.template
    ports = ",".join(str(port) for port in target_ports(template))
    payload: dict[str, Any] = {
        "name": spec.name,
        "image": template.image,
        "env": {**template.environment, **spec.environment},
        "labels": {**identity_labels(cluster, node, spec), PORTS_LABEL: ports},
        "mounts": [
            *(_mount(mount) for mount in template.mounts if mount.kind is not MountKind.VOLUME),
            *files,
        ],
        "volumes": [_volume(mount) for mount in template.mounts if mount.kind is MountKind.VOLUME],
        "read_only_filesystem": template.read_only,
        "cap_add": list(template.cap_add),
        "cap_drop": list(template.cap_drop),
        "resource_limits": _limits(template.limits, template.options),
        "restart_policy": "no",
        "healthconfig": {"Test": ["NONE"]},
        "stop_timeout": math.ceil(template.stop_grace_period_s),
        **options_payload(template.options, network, spec.devices),
    }
    if template.entrypoint is not None:
        payload["entrypoint"] = list(template.entrypoint)
    if template.command is not None:
        payload["command"] = list(template.command)
    if template.user:
        payload["user"] = template.user
    if template.working_dir:
        payload["work_dir"] = template.working_dir
    return payload


def in_pod(payload: Mapping[str, Any], pod: str) -> dict[str, Any]:
    """The network is the pod's, then, and may not be asked for again."""
    own = {"netns", "Networks"}
    return {**{key: value for key, value in payload.items() if key not in own}, "pod": pod}


def endpoints_at(address: str, labels: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """Where a container with this address answers, by the ports its labels name."""
    ports = [int(port) for port in labels.get(PORTS_LABEL, "").split(",") if port]
    return tuple(Endpoint(target_port=port, host=address, port=port) for port in ports) if address else ()


def _mount(mount: Mount) -> dict[str, Any]:
    access = "ro" if mount.read_only else "rw"
    if mount.kind is MountKind.BIND:
        options = ["rbind", access, *([mount.propagation] if mount.propagation else [])]
        return {"type": "bind", "source": mount.source, "destination": mount.target, "options": options}
    size = [f"size={mount.size_bytes}"] if mount.size_bytes else []
    mode = [f"mode={mount.mode:04o}"] if mount.mode else []
    return {"type": "tmpfs", "source": "tmpfs", "destination": mount.target, "options": [access, *size, *mode]}


def _volume(mount: Mount) -> dict[str, Any]:
    """A named volume is made when it is missing; one without a name goes with its container."""
    name = {"Name": mount.source} if mount.source else {}
    return {**name, "Dest": mount.target, "Options": ["ro" if mount.read_only else "rw"]}


def _limits(limits: Resources, options: ContainerOptions) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    cpu: dict[str, Any] = {}
    if limits.cpus:
        cpu |= {"period": CPU_PERIOD_US, "quota": round(limits.cpus * CPU_PERIOD_US)}
    if options.cpu_shares:
        cpu["shares"] = options.cpu_shares
    if options.cpuset:
        cpu["cpus"] = options.cpuset
    if cpu:
        wanted["cpu"] = cpu
    if limits.memory_bytes:
        wanted["memory"] = {"limit": limits.memory_bytes}
    if limits.pids:
        wanted["pids"] = {"limit": limits.pids}
    return wanted
