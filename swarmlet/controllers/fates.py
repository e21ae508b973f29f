"""Fates: what is decided about a task that exists, why, and what must still hold for it to be right."""

from dataclasses import dataclass

from swarmlet.controllers.steps import Step
from swarmlet.controllers.view import TaskView
from swarmlet.model.objects import Desired
from swarmlet.model.transaction import Compare, Delete, put

SERVICE_REMOVED = "service removed"
SCALED_DOWN = "scaled down"
NODE_LOST = "node lost"
NODE_LEFT = "node left"


@dataclass(slots=True)
class Fate:
    view: TaskView
    reason: str
    because: tuple[Compare, ...]
    drop: bool = False
    """Its object is deleted; otherwise it is told to stop."""

    def step(self, now: float) -> Step:
        task, compares = self.view.task, (self.view.compare, *self.because)
        if self.drop:
            return Step(compares, (Delete(task.key),))
        stopped = task.model_copy(update={"desired": Desired.STOP, "stop_reason": self.reason, "stopped_at": now})
        return Step(compares, (put(task.key, stopped),))
