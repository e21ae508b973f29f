"""What running tasks use, as their node measures it: one gossiped record a node, under the key `usage`.

It is packed tightly, and published when it differs enough from what was said last (`node.usage_news`), so figures are
good for a decision and for people, not for a bill.
"""

from dataclasses import dataclass, field

from pydantic import Field

from swarmlet.model.frozen import Frozen
from swarmlet.model.ids import TaskId

USAGE_KEY = "usage"


@dataclass(frozen=True, slots=True)
class TaskUsage:
    cpu_milli: int
    """Thousandths of a processor, on average over the last seconds."""
    memory_bytes: int
    metrics: dict[str, float] = field(default_factory=dict)
    """Values of the task's own metrics, by `PrometheusMetric.key`."""
    problem: str = ""
    """Why a metric could not be had."""


class NodeUsage(Frozen):
    tasks: dict[TaskId, tuple[int, int]] = Field(default_factory=dict)
    """Thousandths of a processor, and KiB of memory."""
    metrics: dict[TaskId, dict[str, float]] = Field(default_factory=dict)
    problems: dict[TaskId, str] = Field(default_factory=dict)

    def of(self, task: TaskId) -> TaskUsage | None:
        figures = self.tasks.get(task)
        if figures is None:
            return None
        return TaskUsage(figures[0], figures[1] * 1024, self.metrics.get(task, {}), self.problems.get(task, ""))
