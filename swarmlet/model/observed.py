"""What is really going on: the records that each node writes about itself and gossips (observed state).

A node publishes one `NodeFacts` under the record key `facts`, and one `TaskStatus` per task under `task/ID`; the
leader adds a `ServiceProblem` under `problem/SERVICE` for each service it can't bring about. What its tasks use is one
`NodeUsage` under `usage`. Only the owner writes its record; every peer holds a copy of all of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from swarmlet.model.frozen import Frozen
from swarmlet.model.ids import NodeId, RevisionHash, ServiceId, TaskId
from swarmlet.model.usage import NodeUsage, TaskUsage

FACTS_KEY = "facts"
TASK_KEY_PREFIX = "task/"
PROBLEM_KEY_PREFIX = "problem/"
STATE_HASHES_KEY = "state_hashes"


class Address(NamedTuple):
    """An IP address (never a host name) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Liveness(StrEnum):
    """What the failure detector says of a node. Traffic goes to ALIVE nodes only."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"


class Phase(StrEnum):
    """Where a task is in its life on its node."""

    PENDING = "pending"
    """Known to its node, nothing done yet (or its image can't be had and is tried again)."""
    PULLING = "pulling"
    STARTING = "starting"
    """Its container is being created or started."""
    RUNNING = "running"
    BACKOFF = "backoff"
    """Its container ended; it is started again after a delay."""
    STOPPING = "stopping"
    """Told to stop: out of the proxies, draining, then inside its grace period."""
    EXITED = "exited"
    """It ended and its restart policy leaves it so."""
    STOPPED = "stopped"
    """It was told to stop and no longer runs. Its container and logs are kept while its task object is."""


class Health(StrEnum):
    UNKNOWN = "unknown"
    """Not probed yet, or not running."""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Endpoint(Frozen):
    """Where a task's port answers, as seen from its own node."""

    target_port: int
    host: str
    port: int


class TaskStatus(Frozen):
    task: TaskId
    service: ServiceId
    revision: RevisionHash
    phase: Phase
    health: Health = Health.UNKNOWN
    """HEALTHY when it has run steadily for a moment, where there is nothing to probe it by."""
    unready: bool = False
    """It has a readiness probe that does not succeed (yet): it gets no connections for that, and no restart."""
    endpoints: tuple[Endpoint, ...] = ()
    """Not empty only while the task may get new connections: running, healthy, ready, not told to stop."""
    message: str = ""
    """Why it is where it is, in words for people; the engine's own words where the engine refused."""
    restarts: int = 0
    parked: bool = False
    """It has failed so often that it is tried again only seldom; `message` says why."""
    exit_code: int | None = None
    """Of the last time it ended; None while it never did."""
    changed_at: float = 0.0
    """Wall time of the last change of phase, health or readiness."""

    @property
    def ready(self) -> bool:
        return self.phase is Phase.RUNNING and self.health is Health.HEALTHY and not self.unready


class ServiceProblem(Frozen):
    """Why a service is not (yet) as declared, in the leader's words."""

    service: ServiceId
    message: str
    per_node: dict[str, str] = Field(default_factory=dict)
    """By node name: why that node was refused; empty where the problem is not one of placement."""


class NodeFacts(Frozen):
    """What a node says of itself; changes seldom."""

    name: str
    version: str
    runtime: str
    architecture: str = ""
    cpus: float
    memory_bytes: int
    labels: dict[str, str] = Field(default_factory=dict)
    zone: str = ""
    """The failure domain that it is in; empty where it does not say."""
    devices: dict[str, int] = Field(default_factory=dict)
    """GPUs and whatever else it has that is counted in pieces, by kind."""
    device_ids: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Of those kinds that it names: one id for each."""
    images: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    """Keys of what it has already (see `model.stock`)."""
    bootstrap_expect: int = 0
    """How many nodes it waits for before a new cluster is formed; 0 once it belongs to one or never waits."""


class StateHash(Frozen):
    index: int
    term: int
    hash: str


class StateHashes(Frozen):
    """What a voter's state was at the last few log indices at which everybody's is compared."""

    format: int
    """Of the hashes: others can't be compared with."""
    points: tuple[StateHash, ...]


@dataclass(frozen=True, slots=True)
class ObservedNode:
    id: NodeId
    name: str
    address: Address
    """Where its agent's peer port is now; it may change without the node becoming another."""
    liveness: Liveness
    facts: NodeFacts | None = None
    """None until its record arrived."""
    tasks: Mapping[TaskId, TaskStatus] = field(default_factory=dict)
    problems: Mapping[ServiceId, ServiceProblem] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObservedState:
    """All records at one moment, as one peer holds them."""

    nodes: Mapping[NodeId, ObservedNode] = field(default_factory=dict)
    usage: Mapping[NodeId, NodeUsage] = field(default_factory=dict)

    def liveness(self, node: NodeId) -> Liveness | None:
        found = self.nodes.get(node)
        return found.liveness if found else None

    def status(self, node: NodeId, task: TaskId) -> TaskStatus | None:
        found = self.nodes.get(node)
        return found.tasks.get(task) if found else None

    def usage_of(self, node: NodeId, task: TaskId) -> TaskUsage | None:
        """None while its node has not measured it, and when that node is not alive: its word is old then."""
        found = self.usage.get(node)
        return found.of(task) if found and self.liveness(node) is Liveness.ALIVE else None

    def statuses(self) -> Iterator[tuple[ObservedNode, TaskStatus]]:
        for node in self.nodes.values():
            for status in node.tasks.values():
                yield node, status
