"""When a node's figures are worth telling everybody. Pure.

Each piece of news crosses every node several times, so not every tiny change is one. Rules:
- A figure that moved by a twentieth (of tasks that are scaled by it; by a quarter otherwise) is news, and so are a task
  that comes or goes, another problem, and a metric that appears or vanishes.
- News about tasks that nothing is scaled by waits until `COARSE_S` after the last.
- All nodes' news together may bring each node BUDGET_BYTES_S: a node that has used up its part waits. One that was
  quiet speaks at once.
"""

import math
from collections.abc import Set

from swarmlet.model.frozen import encode
from swarmlet.model.ids import TaskId
from swarmlet.model.usage import NodeUsage

BUDGET_BYTES_S = 1_000.0
"""At each node, of the 5 kB/s that gossip may take."""
SAVED_S_MAX = 10.0
"""A quiet node may make up for so much silence with one burst."""
COARSE_S = 60.0
OVERHEAD_BYTES = 60
"""Of a record beside its value."""
SENDS_PER_DIGIT = 4
"""How often gossip sends a piece of news on, times the digits of the number of nodes (`GossipSettings`)."""
FINE, COARSE = 0.05, 0.25
FLOORS = (10, 1_024)
"""A change of less than a hundredth of a processor or of a MiB is none."""


class UsageNews:
    def __init__(self) -> None:
        self._said: NodeUsage | None = None
        self._said_at = -math.inf
        self._allowance_bytes = BUDGET_BYTES_S * SAVED_S_MAX
        self._counted_at: float | None = None

    def worth_telling(self, found: NodeUsage, scaled: Set[TaskId], nodes: int, now: float) -> bool:
        """Whether to publish it; what is told counts as said. `nodes` is the size of the cluster."""
        earned = 0.0 if self._counted_at is None else (now - self._counted_at) * BUDGET_BYTES_S
        self._allowance_bytes = min(self._allowance_bytes + earned, BUDGET_BYTES_S * SAVED_S_MAX)
        self._counted_at = now
        if self._allowance_bytes <= 0 or not self._is_news(found, scaled, now):
            return False
        self._allowance_bytes -= (len(encode(found)) + OVERHEAD_BYTES) * nodes * _sends(nodes)
        self._said, self._said_at = found, now
        return True

    def _is_news(self, found: NodeUsage, scaled: Set[TaskId], now: float) -> bool:
        said = self._said or NodeUsage()
        if found == said:
            return False
        fine = [task for task in found.tasks.keys() | said.tasks.keys() if task in scaled]
        if any(_differs(said, found, task, FINE) for task in fine):
            return True
        if self._said is not None and now < self._said_at + COARSE_S and found.tasks.keys() <= said.tasks.keys():
            return False
        return any(_differs(said, found, task, COARSE) for task in found.tasks.keys() | said.tasks.keys())


def _differs(said: NodeUsage, found: NodeUsage, task: TaskId, share: float) -> bool:
    before, after = said.tasks.get(task), found.tasks.get(task)
    if before is None or after is None:
        return before is not after
    if any(_moved(*pair, share) for pair in zip(before, after, FLOORS, strict=True)):
        return True
    if said.problems.get(task) != found.problems.get(task):
        return True
    old, new = said.metrics.get(task, {}), found.metrics.get(task, {})
    return old.keys() != new.keys() or any(_moved(old[key], new[key], 0.0, share) for key in old)


def _moved(before: float, after: float, floor: float, share: float) -> bool:
    return abs(after - before) > max(floor, abs(before) * share)


def _sends(nodes: int) -> int:
    return SENDS_PER_DIGIT * math.ceil(math.log10(nodes + 1))
