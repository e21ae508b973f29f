"""What the cluster agrees on: the objects in the replicated store (desired state).

Only the leader writes them, through the log. Each lives under one key: `stacks/NAME`, `services/ID`,
`tasks/ID`, `nodes/ID`; `voters/list` is there where people chose the voters; rollouts and history of services are in
`revisions`, jobs and their runs in `job`. What really runs is in `observed`, never here.
"""

from enum import StrEnum

from pydantic import Field

from swarmlet.model.autoscale import AUTOSCALING
from swarmlet.model.frozen import Frozen
from swarmlet.model.ids import NodeId, RevisionHash, ServiceId, StackName, TaskId
from swarmlet.model.job import JOB_RUNS, JOBS, RunId, TaskOutcome
from swarmlet.model.placement import Taint
from swarmlet.model.revisions import HISTORY, ROLLOUTS
from swarmlet.model.spec import ServiceSpec, TaskTemplate

STACKS = "stacks/"
SERVICES = "services/"
TASKS = "tasks/"
NODES = "nodes/"
VOTERS = "voters/"
PREFIXES = (STACKS, SERVICES, TASKS, NODES, VOTERS, ROLLOUTS, HISTORY, AUTOSCALING, JOBS, JOB_RUNS)
"""All that this version gives a meaning to. Other objects are kept as they are."""


class Stack(Frozen):
    name: StackName
    services: tuple[str, ...]
    """Names of its services, sorted."""
    deployed_at: float
    """Wall time of the last deploy, seconds since the epoch."""

    @property
    def key(self) -> str:
        return STACKS + self.name


class Service(Frozen):
    id: ServiceId
    stack: StackName
    spec: ServiceSpec
    revision: RevisionHash

    @property
    def key(self) -> str:
        return SERVICES + self.id


class Desired(StrEnum):
    RUN = "run"
    STOP = "stop"


class Task(Frozen):
    """One instance of a service's revision, bound to one node. Never moved, only replaced."""

    id: TaskId
    service: ServiceId
    slot: int
    """Which of the service's replicas this is, from 1; a global service's tasks all have slot 0."""
    node: NodeId
    revision: RevisionHash
    template: TaskTemplate
    created_at: float
    desired: Desired = Desired.RUN
    stop_reason: str = ""
    """Why it was told to stop: 'scaled down', 'replaced by revision …', 'node lost' …; empty while it is to run."""
    stopped_at: float = 0.0
    """Wall time at which `desired` became STOP."""
    generation: int = 0
    """How many tasks its seat has had before; 0 where nobody counted. Leaders' clocks may differ, this does not."""
    relocate: str = ""
    """Why it is to leave its node as soon as another one serves in its place; empty while it is to stay. Besides this
    mark, a drain of its node or a taint there makes it leave (see `controllers.relocation`)."""
    relocate_to: NodeId = NodeId("")
    """Where the other one is to start; empty leaves it to the scheduler."""
    ended_with: int | None = None
    """The exit status with which it ended for good, once others rest on it (see `controllers.prerequisites`): what its
    node says of it is lost with the node."""
    run: RunId = RunId("")
    """The run of a job that it belongs to; empty for a service's task. Its `slot` is the completion that it is for."""
    outcome: TaskOutcome = TaskOutcome.NONE
    devices: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Ids of those of its node's devices that are its own, by kind. A kind that it reserves and that is not here is
    counted only, or was not named when the task was placed: then its node chooses."""

    @property
    def key(self) -> str:
        return TASKS + self.id


class NodeStatus(StrEnum):
    UP = "up"
    DOWN = "down"
    """Confirmed dead: its tasks are replaced."""
    LEFT = "left"
    """Its agent was stopped on purpose. Its tasks are replaced when it does not return within a grace period."""


class Drain(Frozen):
    """Everything is to leave a node. It stays so, empty, until the node is uncordoned."""

    since: float
    """Wall time."""
    deadline: float | None = None
    """Wall time after which what is left there is stopped, whatever it costs; None never does that."""


class Node(Frozen):
    """A member of the cluster as the leader last confirmed it. Its addresses and facts are observed, not agreed."""

    id: NodeId
    name: str
    status: NodeStatus
    status_since: float
    """Wall time of the last change of `status`."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Set at run time; they win over those of the same name in the node's own configuration (`NodeFacts.labels`)."""
    taints: tuple[Taint, ...] = ()
    cordoned: bool = False
    """No new tasks go there; those that run stay."""
    drain: Drain | None = None
    """Set only while it is cordoned, too."""
    downs: tuple[float, ...] = ()
    """Wall times at which it last went down, a few, the latest last. A node that does so often is avoided."""

    @property
    def key(self) -> str:
        return NODES + self.id


class VoterList(Frozen):
    """The voters that people chose. While it is there, the leader keeps to it instead of choosing them itself."""

    nodes: tuple[NodeId, ...]
    """Sorted, without repetition, at least one."""

    @property
    def key(self) -> str:
        return VOTERS + "list"
