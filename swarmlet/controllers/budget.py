"""The disruption budget: how many of a service's seats may be kept from serving by the cluster's own doing.

Rules: `max_unavailable` of the service holds for all that swarmlet does by itself or on people's behalf: relocations,
rollouts that stop first. Seats that do not serve already, whatever the cause, count against it. A task of which its
node says that it does not serve may go at any time; one of which nothing is known is taken for one that serves, and its
seat for one that does not. What people ask for by number (a scale-down), and a drain past its deadline, need no budget.
"""

from collections.abc import Collection
from dataclasses import dataclass

from swarmlet.controllers.seats import Seat
from swarmlet.controllers.view import Standing, TaskView
from swarmlet.model.spec import MaxUnavailable

SERVING = (Standing.READY, Standing.ENDED)


@dataclass(slots=True)
class Budget:
    allowed: int
    unavailable: int
    """Seats that do not serve, as far as is known, and those taken by this look."""

    @classmethod
    def of(cls, limit: MaxUnavailable, seats: Collection[Seat], wanted: int) -> "Budget":
        serving = sum(seat.best.standing in SERVING for seat in seats)
        return cls(limit.of(wanted), max(0, wanted - serving))

    def allows(self, view: TaskView) -> bool:
        """Whether the only task of its seat may be stopped now."""
        return view.standing is Standing.UNREADY or self.unavailable < self.allowed

    def take(self, view: TaskView) -> bool:
        """The same; if so, it is counted."""
        allowed = self.allows(view)
        if allowed and view.standing is not Standing.UNREADY:
            self.unavailable += 1
        return allowed

    def __str__(self) -> str:
        return f"max_unavailable is {self.allowed}, and {self.unavailable} do not serve"
