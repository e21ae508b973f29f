"""What users declare: a stack of services, as read from a Compose file.

Everything that decides how one task runs is in `TaskTemplate`; how many of them and where is in
`ServiceSpec`. So a change of `replicas` starts or stops tasks, and only a change of the template replaces
them. Times are seconds, sizes are bytes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from swarmlet.model.autoscale import Autoscale
from swarmlet.model.container import ContainerOptions, FileMount, PullPolicy
from swarmlet.model.container import Mode as FileMode
from swarmlet.model.frozen import Frozen, encode
from swarmlet.model.ids import NAME_PATTERN, RevisionHash
from swarmlet.model.job import JobPolicy
from swarmlet.model.placement import PRIORITY_MAX, Placement
from swarmlet.model.rollout import RolloutPolicy

Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]

REPLICAS_MAX = 10_000
"""More than the largest cluster we aim at can run; a typing error above it is refused, not scheduled."""


class Mode(StrEnum):
    REPLICATED = "replicated"
    GLOBAL = "global"


class PublishedPort(Frozen):
    """`published` listens on every node and leads to `target` in a healthy task."""

    target: Port
    published: Port
    host_address: str = ""
    """The local address to listen on; empty means the node's proxy address."""
    protocol: Literal["tcp"] = "tcp"


class MountKind(StrEnum):
    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"


class Mount(Frozen):
    kind: MountKind
    target: str
    source: str = ""
    """A host path (bind) or the volume's full name on its node (volume); empty for tmpfs and anonymous volumes."""
    read_only: bool = False
    size_bytes: int = 0
    """tmpfs only; 0 leaves the size to the kernel."""
    mode: FileMode = 0
    """tmpfs only; 0 leaves it to the engine."""
    propagation: str = ""
    """bind only: `rprivate`, `shared` …; empty is the engine's own."""


class _TaggedProbe(Frozen):
    """Written with its kind, always: it is a default, but what tells one probe from another."""

    kind: str

    @model_serializer(mode="wrap")
    def _with_kind(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **serialize(self)}


class CommandProbe(_TaggedProbe):
    kind: Literal["command"] = "command"
    argv: tuple[str, ...]


class HttpProbe(_TaggedProbe):
    """Healthy on any status from 200 to 399."""

    kind: Literal["http"] = "http"
    port: Port
    path: str = "/"


class TcpProbe(_TaggedProbe):
    """Healthy when the port accepts a connection."""

    kind: Literal["tcp"] = "tcp"
    port: Port


Probe = Annotated[CommandProbe | HttpProbe | TcpProbe, Field(discriminator="kind")]


class HealthCheck(Frozen):
    """Defaults are Compose's (30 s, 30 s, 3, 0 s); before the first success probes run each `start_interval_s`."""

    probe: Probe
    interval_s: float = Field(default=30.0, gt=0)
    timeout_s: float = Field(default=30.0, gt=0)
    retries: int = Field(default=3, ge=1)
    start_period_s: float = Field(default=0.0, ge=0)
    start_interval_s: float = Field(default=0.5, gt=0)


class RestartCondition(StrEnum):
    NEVER = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class RestartPolicy(Frozen):
    condition: RestartCondition = RestartCondition.ALWAYS
    attempts_max: int = Field(default=0, ge=0)
    """0 means without end. Counted since the task was last healthy for long enough."""


ALL_DEVICES = -1
"""Of a kind, instead of a number: all that a node has, at least one, and nobody else any."""


class Resources(Frozen):
    """0 means unset: no limit, or nothing reserved."""

    cpus: float = Field(default=0.0, ge=0)
    memory_bytes: int = Field(default=0, ge=0)
    pids: int = Field(default=0, ge=0)
    devices: dict[str, int] = Field(default_factory=dict)
    """Of reservations and of what nodes have: GPUs and whatever else is counted in pieces, by kind. A reservation may
    be `ALL_DEVICES`."""
    device_ids: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Of reservations: which ones it has to be, by kind; they are part of the number in `devices`."""


def total_devices(wanted: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """All reservations together, by kind. Who wants all of a kind leaves none for others."""
    total: dict[str, int] = {}
    for devices in wanted:
        for kind, count in devices.items():
            before = total.get(kind, 0)
            total[kind] = ALL_DEVICES if ALL_DEVICES in (before, count) else before + count
    return total


def total_device_ids(wanted: Iterable[Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    total: dict[str, tuple[str, ...]] = {}
    for ids in wanted:
        for kind, some in ids.items():
            total[kind] = (*total.get(kind, ()), *some)
    return total


class TaskTemplate(Frozen):
    """All that a node needs to run one task."""

    image: str = Field(min_length=1)
    entrypoint: tuple[str, ...] | None = None
    """None keeps the image's own; an empty tuple clears it."""
    command: tuple[str, ...] | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    ports: tuple[PublishedPort, ...] = ()
    mounts: tuple[Mount, ...] = ()
    health_check: HealthCheck | None = None
    readiness: HealthCheck | None = None
    """Whether it gets connections; apart from `health_check`, failing it never restarts anything."""
    labels: dict[str, str] = Field(default_factory=dict)
    restart: RestartPolicy = RestartPolicy()
    stop_grace_period_s: float = Field(default=10.0, ge=0)
    user: str = ""
    working_dir: str = ""
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    limits: Resources = Resources()
    reservations: Resources = Resources()
    pull_policy: PullPolicy = PullPolicy.MISSING
    options: ContainerOptions = ContainerOptions()
    files: tuple[FileMount, ...] = ()
    scraped_ports: tuple[Port, ...] = ()
    """Where its node asks for its own metrics (`Autoscale.metrics`)."""
    pod: Name | Literal[""] = ""
    """Tasks of one slot of all services of the stack that name the same pod share one network, on one node."""
    bound_to: dict[str, RevisionHash] = Field(default_factory=dict)
    """Services of the stack and their own revisions, each of which makes a new one of this. Set by a deploy (see
    `model.bonds`)."""
    exclusive: bool = False
    """It runs only while its node holds a lease of it, and no other task of its service meanwhile (see `exclusive`)."""

    def revision(self) -> RevisionHash:
        """Equal templates have equal revisions, whatever the order of their mappings."""
        canonical = self.model_copy(
            update={
                "environment": dict(sorted(self.environment.items())),
                "labels": dict(sorted(self.labels.items())),
                "bound_to": dict(sorted(self.bound_to.items())),
                "options": self.options.canonical(),
            }
        )
        return RevisionHash(hashlib.sha256(encode(canonical)).hexdigest()[:12])


class DependencyCondition(StrEnum):
    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"
    """All its tasks have ended with status 0."""


class MaxUnavailable(Frozen):
    """A disruption budget: how many of a service's tasks the cluster may keep from serving by its own doing."""

    count: int = Field(default=1, ge=0, le=REPLICAS_MAX)
    percent: int = Field(default=0, ge=0, le=100)
    """Of the replicas, rounded up. Where it is not 0, `count` does not matter."""

    def of(self, wanted: int) -> int:
        return -(-wanted * self.percent // 100) if self.percent else self.count


class HttpRoute(Frozen):
    """Where a service answers HTTP from outside. Exports write it; nothing here routes by host or path (yet)."""

    host: str = ""
    """Empty: any."""
    path: str = "/"
    """All paths that begin so."""
    port: Port


class ServiceSpec(Frozen):
    name: Name
    template: TaskTemplate
    mode: Mode = Mode.REPLICATED
    replicas: int = Field(default=1, ge=0, le=REPLICAS_MAX)
    """Ignored where mode is global: one task on every node."""
    depends_on: dict[str, DependencyCondition] = Field(default_factory=dict)
    """Names of services of the same stack that start first."""
    optional_dependencies: tuple[Name, ...] = ()
    """Those of them without which it starts, too, when they fail."""
    restarts_with: tuple[Name, ...] = ()
    """Those of them each new revision of which replaces its tasks."""
    rollout: RolloutPolicy = RolloutPolicy()
    max_unavailable: MaxUnavailable = MaxUnavailable()
    placement: Placement = Placement()
    priority: int = Field(default=0, ge=-PRIORITY_MAX, le=PRIORITY_MAX)
    """A task that finds no room may displace tasks of services with a lower one."""
    autoscale: Autoscale | None = None
    """`replicas` is the number that was chosen last, then."""
    ingress: tuple[HttpRoute, ...] = ()
    job: JobPolicy | None = None
    """Set for work that ends: a job, which has runs instead of replicas."""


class StackSpec(Frozen):
    name: Name
    services: dict[str, ServiceSpec]
