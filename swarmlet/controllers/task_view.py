"""One task with what its node says of it and what that means.

Rules: silence is no verdict. A task without a status on a living node is presumed to be starting; the word of
a node that is suspected, or that left a moment ago, is out of date and counts as silence. What has ended for
good (EXITED) stays ended, even when its node is lost.
"""

from dataclasses import dataclass
from enum import IntEnum

from swarmlet.controllers.membership import NodeRecord
from swarmlet.model.ids import TaskId
from swarmlet.model.objects import NODES, Desired, Task
from swarmlet.model.observed import Phase, TaskStatus
from swarmlet.model.transaction import Compare


class Standing(IntEnum):
    """What a task is worth to its service; the higher, the dearer."""

    LOST = 0
    UNREADY = 1
    """Its node says that it does not (yet) serve."""
    UNKNOWN = 2
    """Its node has not said anything that counts."""
    ENDED = 3
    READY = 4


@dataclass(frozen=True, slots=True)
class TaskView:
    task: Task
    revision: int
    status: TaskStatus | None
    standing: Standing
    node: NodeRecord | None
    leaves: str = ""
    """Why it is to leave its node; empty while it may stay, and for one that has ended."""
    lease_end: float = 0.0
    """Of an exclusive task: until when (wall time) it may still run, whatever its node says or does not say."""
    lease_is_over: bool = False
    """So it was told to stop, and that time has come."""

    @property
    def id(self) -> TaskId:
        return self.task.id

    @property
    def runs(self) -> bool:
        """It is meant to run; whether it does is another matter."""
        return self.task.desired is Desired.RUN

    @property
    def compare(self) -> Compare:
        return Compare(self.task.key, self.revision)

    @property
    def node_compare(self) -> Compare:
        return self.node.compare if self.node else Compare(NODES + self.task.node, 0)

    @property
    def on_lost_node(self) -> bool:
        return self.node is None or self.node.gone

    @property
    def phase(self) -> Phase | None:
        return self.status.phase if self.status else None

    @property
    def is_gone(self) -> bool:
        """Nothing of it runs any more, as far as anyone can know; of an exclusive task, for certain."""
        if self.task.template.exclusive:
            return self.lease_is_over or (self.phase is Phase.STOPPED and not self.runs)
        return self.on_lost_node or self.phase is Phase.STOPPED

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    @property
    def exit_code(self) -> int | None:
        """With which it ended for good; None while it has not, or nobody saw how."""
        if self.task.ended_with is not None or self.status is None or self.phase is not Phase.EXITED:
            return self.task.ended_with
        return self.status.exit_code


def standing_of(task: Task, node: NodeRecord | None, status: TaskStatus | None) -> Standing:
    if task.ended_with is not None or (status is not None and status.phase is Phase.EXITED):
        return Standing.ENDED
    if node is None or node.gone:
        return Standing.LOST
    if status is None or not node.is_alive:
        return Standing.UNKNOWN
    return Standing.READY if status.ready else Standing.UNREADY
