"""Leases of exclusive tasks: how long they hold, and why no two tasks of an exclusive service ever run at once.

Theory of operation. A node asks the leader for a lease of each exclusive task that it runs or is to run. `t0` is when
it asked, by its own clock. The leader confirms that it leads, notes `t1`, by its own clock, and grants. The node's
lease holds until `t0 + LEASE_S`, and everything of the task is dead by then: at `t0 + HELD_S` a guard that needs
neither the agent nor any other process kills it. The leader takes the task for gone at `t1 + LEASE_S + MARGIN_S`.
Since `t0` is before `t1`, the task is dead first, however long messages took. A new leader knows of no grants: what was
granted before it led, was before it began to lead, so it waits from then.

Source: Gray and Cheriton, Leases (SOSP 1989), with the margin for clocks that run at different rates. Decision record
0054.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmlet.model.ids import TaskId

LEASE_S = 10.0
"""Longer than a change of leaders takes, and several renewals; so long a lost node's task is not replaced."""
KILL_S = 1.0
"""What the guard and the kernel may take to kill a task: the guard looks four times a second."""
HELD_S = LEASE_S - KILL_S
STOP_AHEAD_S = 3.5
"""So long before its guard would kill it, a node begins to stop a task that it can't renew the lease of."""
LAPSE_GRACE_S = 2.0
"""A task whose lease runs out has so long between its stop signal and SIGKILL, its own grace period or not."""
RENEW_S = 2.0
RENEW_TIMEOUT_S = 2.0
MARGIN_S = 1.0
"""The leader's clock may run 4.7 % faster than the node's: (LEASE_S + MARGIN_S) / LEASE_S >= (1 + r) / (1 - r)."""
DRIFT_MAX = 0.047
"""How much faster or slower than real time any clock may run. Quartz is better than 0.0002."""
STOPPING_SLACK_S = 30.0
"""A task that was told to stop gets leases for its grace period and so long; then its node is not waited for."""


@dataclass(frozen=True, slots=True)
class Leases:
    """What the leader knows, as wall times at one moment: until when exclusive tasks may still run somewhere."""

    ends: Mapping[TaskId, float] = field(default_factory=dict)
    others_end: float = 0.0
    """Of tasks that this leader granted nothing."""

    def end_of(self, task: TaskId) -> float:
        return self.ends.get(task, self.others_end)


NO_LEASES = Leases()
