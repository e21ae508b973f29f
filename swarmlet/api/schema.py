"""What the API says and takes, as typed values. The command line depends on this module and on nothing else here."""

from enum import StrEnum
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

REVISION_HEADER = "Swarmlet-Revision"
"""On every answer under /v1: the store revision it was derived from or that it made."""
PROBLEM_TYPE = "application/problem+json"
LOG_LINES_TYPE = "application/x-ndjson"
EVENTS_TYPE = "text/event-stream"

T = TypeVar("T")


class Schema(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


class Listing(Schema, Generic[T]):
    revision: int
    items: list[T]


class RaftRole(StrEnum):
    LEADER = "leader"
    VOTER = "voter"
    LEARNER = "learner"
    NONE = "none"
    """Not (yet) in the cluster's configuration."""


class TaintView(Schema):
    key: str
    value: str = ""
    effect: Literal["no-schedule", "no-execute"] = "no-schedule"


class DrainView(Schema):
    since: float
    deadline: float | None = None
    """Wall time after which what is left is stopped; null never does that."""
    left: dict[str, int] = Field(default_factory=dict)
    """By service or job: tasks that still run there. Empty: the node is drained."""
    waits_for: dict[str, str] = Field(default_factory=dict)
    """By service or job: why it is not gone yet, where there is more to it than a little time."""


class NodeView(Schema):
    id: str
    name: str
    address: str
    liveness: str
    """What this peer's failure detector says: alive, suspect, dead, left."""
    status: str
    """What the leader last confirmed: up, down, left; empty before it did."""
    role: RaftRole
    version: str = ""
    runtime: str = ""
    architecture: str = ""
    cpus: float = 0.0
    memory_bytes: int = 0
    devices: dict[str, int] = Field(default_factory=dict)
    """How many it has, by kind."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Its own, and those that were set at run time, which win."""
    tasks: int = 0
    """Tasks assigned to it that are to run."""
    cordoned: bool = False
    taints: list[TaintView] = Field(default_factory=list)
    drain: DrainView | None = None
    """While everything is to leave it, and until it is uncordoned."""


class StatusView(Schema):
    cluster: str
    node: str
    node_id: str
    version: str
    revision: int
    term: int
    role: RaftRole
    leader: str | None
    """The leader's node name; null while none is known."""
    voters: list[str]
    nodes_alive: int
    nodes_total: int
    services: int
    tasks_wanted: int
    tasks_ready: int
    problems: list[str]
    """What keeps this peer or the cluster from being as declared, a line each."""


class ServiceState(StrEnum):
    CONVERGED = "converged"
    """Every wanted task is ready and of the current revision, and no other runs."""
    PROGRESSING = "progressing"
    STUCK = "stuck"
    """It can't get on by itself: `problem` says why. It is still tried again."""


class PortView(Schema):
    published: int
    target: int
    host_address: str = ""


class RolloutView(Schema):
    """The present rollout of a service, or its last one."""

    number: int
    """Of the revision that it brings: see the service's history."""
    revision: str
    state: str
    """`running`, `paused` or `done`."""
    begun_at: float
    rollback: bool = False
    undoes: str = ""
    """A rollback's: the revision that it takes back."""
    reason: str = ""
    """Why it was begun (a rollback), or why it is paused."""
    canary_percent: int | None = None
    """The step that it is at."""
    waits: bool = False
    """Nothing goes on until somebody resumes it."""
    goes_back: bool = False
    """When its new tasks fail, the service goes back to an earlier revision by itself."""


class ServiceView(Schema):
    id: str
    stack: str
    name: str
    image: str
    mode: str
    wanted: int
    ready: int
    """Ready tasks of the current revision."""
    outdated: int
    """Tasks of an earlier revision that are still to run."""
    revision: str
    ports: list[PortView]
    state: ServiceState
    problem: str = ""
    per_node: dict[str, str] = Field(default_factory=dict)
    rollout: RolloutView | None = None
    """Null for the moment between a deploy and the leader's first look at it."""


class TaskView(Schema):
    id: str
    service: str
    slot: int
    node: str
    node_id: str
    image: str
    revision: str
    desired: str
    phase: str
    """As its node last said; `unknown` while that node isn't alive."""
    health: str
    ready: bool
    message: str = ""
    restarts: int = 0
    parked: bool = False
    """It has failed so often that it is tried again only seldom."""
    exit_code: int | None = None
    created_at: float
    changed_at: float = 0.0
    cpus_used: float | None = None
    """On average over the last seconds; null while its node has not measured it."""
    memory_used_bytes: int | None = None
    devices: dict[str, list[str]] = Field(default_factory=dict)
    """Ids of those of its node's devices that are its own, by kind."""


class StackView(Schema):
    name: str
    revision: int
    deployed_at: float
    state: ServiceState
    services: list[ServiceView]


class ComposeFileText(Schema):
    model_config = ConfigDict(extra="forbid")

    filename: str
    """How error messages name it."""
    compose: str


class DeployRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    compose: str
    """The Compose file's text."""
    filename: str = "compose.yaml"
    """How error messages name it."""
    overrides: list[ComposeFileText] = Field(default_factory=list)
    """More Compose files, merged into the first in order."""
    variables: dict[str, str] = Field(default_factory=dict, repr=False)
    files: dict[str, str] = Field(default_factory=dict, repr=False)
    """Texts that it names (env files, label files, other Compose files), by their path seen from its folder."""
    contents: dict[str, str] = Field(default_factory=dict, repr=False)
    """Files of its configs and secrets in base64, by their path seen from its folder."""
    profiles: list[str] = Field(default_factory=list)
    """Those that are active; `*` is all."""
    folder: str = ""
    """Where it lies on the deployer's machine, absolute: what relative paths of mounts are relative to."""
    unbuilt: Literal["refuse", "expect", "skip"] = "refuse"
    """What becomes of services with a `build` and no `image`: `expect` that their images are there, or `skip` them."""


class DeployReply(Schema):
    revision: int
    changed: list[str]
    """Ids of the services that were added, changed or removed; empty when nothing differs."""
    warnings: list[str] = Field(default_factory=list)
    unbuilt: dict[str, str] = Field(default_factory=dict)
    """Images that somebody has to build, by service."""
    revisions: dict[str, str] = Field(default_factory=dict)
    """What each service of the stack is to become, by service id."""


class ScaleRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    replicas: int = Field(ge=0)


class WriteReply(Schema):
    revision: int


class KeyView(Schema):
    key: str
    size_bytes: int
    created_revision: int
    revision: int
    """Of its last modification: what a conditional write has to name."""


class KeyListing(Schema):
    revision: int
    items: list[KeyView]
    more: bool
    """There are further keys: ask again with `after` and the last key of this page."""


class VoterView(Schema):
    """A member of the consensus, or a node that is on the list of voters and no member yet."""

    id: str
    name: str
    role: RaftRole
    votes: bool
    listed: bool
    """It is on the list that people made."""
    zone: str
    health: str
    """`healthy`; `behind` or `silent` while it lives but its log is late or it does not answer the leader; else
    `suspect`, `dead`, `left`, `unknown`."""
    match_index: int | None
    """It has the log up to here on its disk; null where no leader says so."""
    lag: int | None
    """Entries that the leader's log has more."""


class VotersView(Schema):
    automatic: bool
    """The leader chooses the voters; false while people have listed them."""
    listed: list[str]
    changing: bool
    """The voters before and after a change both have to agree at this moment."""
    term: int
    leader: str | None
    last_index: int | None
    problem: str
    """Why the voters are not as listed, or can't be changed; empty when all is well."""
    items: list[VoterView]


class VotersRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    voters: list[str] | None
    """Names or ids of the nodes that are to vote; null leaves it to the leader."""


class VotersReply(Schema):
    revision: int
    warnings: list[str] = Field(default_factory=list)


class NodeKeysView(Schema):
    """A node's ring of cluster keys, as it answered just now. Keys are named by their ids, never shown."""

    node: str
    node_id: str
    version: int = 0
    """Of its ring; every change makes a higher one."""
    primary: str = ""
    """The key that it seals with."""
    keys: list[str] = Field(default_factory=list)
    """All that it accepts."""
    problem: str = ""
    """Why its ring is not known: the node is away, or did not answer."""
    away: bool = False


class KeyringView(Schema):
    keys: list[str]
    """Of all rings, the key that most nodes seal with first."""
    nodes: list[NodeKeysView]
    key: str = ""
    """The one that the change was about."""


class KeyUse(Schema):
    model_config = ConfigDict(extra="forbid")

    key: str


class LogLineView(Schema):
    task: str
    node: str
    at: float
    stream: str
    text: str


class EventView(Schema):
    """One line of the event stream. Agreed changes carry the revision they made, observed ones that of the moment."""

    revision: int
    kind: str
    """`put` or `delete` (agreed), `task` or `node` (observed); `compacted` when the stream ends with a gap."""
    key: str
    message: str
    at: float


class Problem(Schema):
    """RFC 9457. `line` and `column` are there when the trouble has a place in a file."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    revision: int | None = None
    """The object's present revision, 0 where there is none: when a write was meant for another one."""
    nothing_done: bool | None = None
    """True with 503 where that is certain: sent again, to any peer, it can't be done twice."""
