"""What a node needs from whatever runs its containers: one small asynchronous interface, three implementations.

Rules that every implementation keeps (and the contract tests hold):
- A container is made by `create`, started by `start`, and may be started again once it ended (same id, same
  logs). It is never restarted by the engine itself: restarting is the node's decision.
- `list` and `events` know only containers that carry this cluster's and this node's labels.
- `events` begins with RESYNC and yields RESYNC again after any gap: whoever reads it lists then, and misses
  nothing. Between two RESYNCs each start and each exit is told at least once.
- An exit code is what a shell would show: 0–255, 128 + signal for one that a signal ended.
- Every error is a `ContainerRuntimeError`; each call ends within a bounded time.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NewType, Protocol

from swarmlet.errors import SwarmletError
from swarmlet.model.container import PullPolicy
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.observed import Endpoint
from swarmlet.model.spec import Resources, TaskTemplate

ContainerId = NewType("ContainerId", str)

CLUSTER_LABEL = "io.swarmlet.cluster"
NODE_LABEL = "io.swarmlet.node"
TASK_LABEL = "io.swarmlet.task"
SERVICE_LABEL = "io.swarmlet.service"
DEVICES_LABEL = "io.swarmlet.devices"

LOG_BYTES_MAX = 10 * 1024 * 1024
"""What a container's logs may take on disk before the oldest part is dropped."""

EXEC_OUTPUT_BYTES_MAX = 64 * 1024
"""What `execute` keeps of a command's output (its beginning): probes and people need no more."""


LAPSED = 75
"""Exit code of an exclusive task's container when its lease has run out (EX_TEMPFAIL)."""


class ContainerState(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class EventKind(StrEnum):
    STARTED = "started"
    EXITED = "exited"
    RESYNC = "resync"
    """Events may have been missed: compare with `list`. Belongs to no container."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container to be made for one task. The runtime adds the identity labels itself."""

    task: TaskId
    service: ServiceId
    name: str
    """Unique on the node: `swarmlet-SERVICE-SLOT` or `swarmlet-SERVICE-TASK`."""
    template: TaskTemplate
    labels: Mapping[str, str] = field(default_factory=dict)
    """Added to the template's."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the template's, and stronger."""
    pod: str = ""
    """Containers of one pod share one network, where the runtime gives containers networks of their own."""
    devices: tuple[str, ...] = ()
    """What it is given of the node's devices, as the same path inside, beside those of its template: paths, or CDI
    names. Programs that share their host's devices anyhow are given nothing."""


@dataclass(frozen=True, slots=True)
class Container:
    id: ContainerId
    task: TaskId
    state: ContainerState
    exit_code: int | None
    """Of its last run; None while it runs, never ran, or when nobody saw it end."""
    started_at: float | None
    """Wall time of the last start; None if it never was."""
    endpoints: tuple[Endpoint, ...]
    """One for each target port of its template, in their order, while it runs; empty otherwise."""
    image: str
    devices: tuple[str, ...] = ()
    """What its spec named."""


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    container_id: ContainerId
    task: TaskId
    kind: EventKind
    exit_code: int | None = None


RESYNC = ContainerEvent(ContainerId(""), TaskId(""), EventKind.RESYNC)

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class LogLine:
    at: float
    """Wall time at which the line was written."""
    stream: Stream
    text: str
    """Without its line end."""


@dataclass(frozen=True, slots=True)
class Stock:
    images: tuple[str, ...]
    """By all their names."""
    volumes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    output: str
    """Standard output and error, mixed, at most `EXEC_OUTPUT_BYTES_MAX`."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a container uses, all its processes together."""

    cpu_s: float
    """Processor time since it was started; it may fall where a process left without its parent taking note."""
    memory_bytes: int


class ContainerRuntimeError(SwarmletError):
    """Something that the runtime could not do."""


class RuntimeUnavailable(ContainerRuntimeError):
    """The engine can't be reached or did not answer in time: nothing is known of the containers now."""

    def __init__(self, runtime: str, message: str) -> None:
        super().__init__(f"{runtime} can't be reached: {message}")
        self.runtime = runtime
        self.message = message


class ImageUnavailable(ContainerRuntimeError):
    """The image is not here and can't be had; `message` is the engine's own words."""

    def __init__(self, image: str, message: str) -> None:
        super().__init__(f"image {image} can't be had: {message}")
        self.image = image
        self.message = message


class ContainerFailed(ContainerRuntimeError):
    """The engine refused to create, start, stop or look into a container, in its own words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ExecTimedOut(ContainerFailed):
    """A command inside a container did not end in time."""

    def __init__(self, argv: tuple[str, ...], timeout_s: float) -> None:
        super().__init__(f"{' '.join(argv)} did not end within {timeout_s:g} s")
        self.argv = argv
        self.timeout_s = timeout_s


class NoSuchContainer(ContainerRuntimeError):
    def __init__(self, container_id: ContainerId) -> None:
        super().__init__(f"there is no container {container_id[:12]}")
        self.container_id = container_id


class Runtime(Protocol):
    @property
    def name(self) -> str:
        """What `NodeFacts.runtime` says: `podman`, `process` or `fake`."""

    async def ensure_image(self, image: str, policy: PullPolicy = PullPolicy.MISSING) -> None:
        """Return when the image is here, fetched as the policy says. Raises `ImageUnavailable`."""

    async def create(self, spec: ContainerSpec) -> ContainerId:
        """Make a container, without starting it. Raises `ContainerFailed` when its name is taken."""

    async def start(self, container_id: ContainerId) -> None:
        """Start one that was created or has ended; nothing to do for one that runs."""

    async def stop(self, container_id: ContainerId, grace_s: float) -> None:
        """Its stop signal (SIGTERM unless it has another), then SIGKILL after the grace period.

        Returns when it ended. One that ended is left alone.
        """

    async def kill(self, container_id: ContainerId) -> None:
        """SIGKILL, and return when it ended. One that ended is left alone."""

    async def remove(self, container_id: ContainerId) -> None:
        """Remove it and its logs and anonymous volumes, killed first if it runs; one that is gone is no error."""

    async def list(self) -> list[Container]:
        """All containers of this cluster and node, in whatever state."""

    def events(self) -> AsyncGenerator[ContainerEvent, None]:
        """Starts and exits as they happen, RESYNC first and after each gap. Never ends by itself, never raises."""

    def logs(self, container_id: ContainerId, tail: int | None, follow: bool) -> AsyncGenerator[LogLine, None]:
        """The last `tail` lines (None: all that is kept), then new ones if `follow`, until the container ends."""

    async def execute(self, container_id: ContainerId, argv: tuple[str, ...], timeout_s: float) -> ExecResult:
        """Run a command inside a running container. Raises `ExecTimedOut` after `timeout_s`."""

    async def usage(self) -> Mapping[TaskId, Used]:
        """Of each running container, cheaply; one whose figures can't be read is left out."""

    async def stock(self) -> Stock:
        """The images and named volumes that are here, whoever brought them."""

    async def capacity(self) -> Resources:
        """What this node's containers may use altogether."""

    async def close(self) -> None:
        """Let go of the engine. Containers keep running; streams that are still read end."""


def identity_labels(cluster: str, node: NodeId, spec: ContainerSpec) -> dict[str, str]:
    """All labels of a container: the template's, the spec's, and those by which the node knows its own."""
    return {
        **spec.template.labels,
        **spec.labels,
        CLUSTER_LABEL: cluster,
        NODE_LABEL: node,
        TASK_LABEL: spec.task,
        SERVICE_LABEL: spec.service,
        **({DEVICES_LABEL: ",".join(spec.devices)} if spec.devices else {}),
    }


def devices_in(labels: Mapping[str, str]) -> tuple[str, ...]:
    """What a container with these labels was given."""
    return tuple(name for name in labels.get(DEVICES_LABEL, "").split(",") if name)


def target_ports(template: TaskTemplate) -> tuple[int, ...]:
    """The ports that the container itself listens on, each once: declared, then probed and scraped."""
    declared = [port.target for port in template.ports]
    checks = (template.health_check, template.readiness)
    declared += [check.probe.port for check in checks if check is not None and check.probe.kind != "command"]
    declared += template.scraped_ports
    return tuple(dict.fromkeys(declared))
