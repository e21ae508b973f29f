"""What goes into a `TaskMachine` and what comes out of it: small typed values, nothing else.

At most one operation (`EnsureImage` to `Remove`, `Inspect`) is out at any time; the shell answers each with its
event or with `OperationFailed`, unless `CancelOperation` called it back. Probes go beside operations and carry
the number of the run that they belong to.
"""

from dataclasses import dataclass
from enum import StrEnum

from swarmlet.model.container import PullPolicy
from swarmlet.model.objects import Task
from swarmlet.model.observed import Endpoint, TaskStatus
from swarmlet.model.spec import Probe
from swarmlet.node.health import Verdict
from swarmlet.runtime.interface import Container, ContainerId


class Failure(StrEnum):
    """Why an operation failed, as far as it decides what to do next."""

    IMAGE = "image"
    """The image can't be had."""
    REFUSED = "refused"
    """The engine refused to create or start the container: counts as an exit."""
    UNCERTAIN = "uncertain"
    """The engine did not answer, or said what was not expected: what it did is unknown, to be seen by a listing."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """The task object as it is now; None: there is none (any more)."""

    task: Task | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a listing that nobody asked for on this task's behalf said of its container; it began at `asked_at`."""

    container: Container | None
    asked_at: float


@dataclass(frozen=True, slots=True)
class Inspected:
    """The answer to `Inspect`."""

    container: Container | None


@dataclass(frozen=True, slots=True)
class ImageReady:
    pass


@dataclass(frozen=True, slots=True)
class Created:
    container: ContainerId


@dataclass(frozen=True, slots=True)
class StartReturned:
    pass


@dataclass(frozen=True, slots=True)
class StopReturned:
    pass


@dataclass(frozen=True, slots=True)
class RemoveReturned:
    pass


@dataclass(frozen=True, slots=True)
class OperationFailed:
    failure: Failure
    message: str


@dataclass(frozen=True, slots=True)
class StartSeen:
    """The runtime says that a container was started, by whomever."""

    container: ContainerId


@dataclass(frozen=True, slots=True)
class ExitSeen:
    """The runtime says that a container ended. May be told late, and more than once."""

    container: ContainerId
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    run: int
    verdict: Verdict
    message: str
    readiness: bool = False
    """It was the readiness probe."""


@dataclass(frozen=True, slots=True)
class Leased:
    """The leader lets this exclusive task run until then, in the clock of `now`."""

    until: float


@dataclass(frozen=True, slots=True)
class Woken:
    """`wake_at` has come."""


Event = (
    Assigned
    | Found
    | Inspected
    | ImageReady
    | Created
    | StartReturned
    | StopReturned
    | RemoveReturned
    | OperationFailed
    | StartSeen
    | ExitSeen
    | ProbeAnswered
    | Leased
    | Woken
)


@dataclass(frozen=True, slots=True)
class EnsureImage:
    image: str
    policy: PullPolicy = PullPolicy.MISSING


@dataclass(frozen=True, slots=True)
class Create:
    task: Task


@dataclass(frozen=True, slots=True)
class Start:
    container: ContainerId


@dataclass(frozen=True, slots=True)
class Stop:
    container: ContainerId
    grace_s: float


@dataclass(frozen=True, slots=True)
class Remove:
    container: ContainerId


@dataclass(frozen=True, slots=True)
class Inspect:
    """List, and feed what the listing says as `Inspected`. The listing must begin after this effect."""


@dataclass(frozen=True, slots=True)
class CancelOperation:
    """Forget the operation that is out; its answer must not be fed."""


@dataclass(frozen=True, slots=True)
class RunProbe:
    """Probe once; replaces a probe of the same kind that is still out."""

    run: int
    probe: Probe
    container: ContainerId
    endpoint: Endpoint | None
    """Where to connect; None for a command."""
    timeout_s: float
    readiness: bool = False


@dataclass(frozen=True, slots=True)
class Publish:
    """`changed_at` is left to the shell. None: there is nothing to say of this task any more."""

    status: TaskStatus | None


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left of the task on this node; the machine takes no more events."""


OperationEffect = EnsureImage | Create | Start | Stop | Remove | Inspect
Effect = OperationEffect | CancelOperation | RunProbe | Publish | Finished
