"""From what containers have used so far to what they use now. Pure.

Rules:
- Processor time is a rate over the last `window_s`, and over two samples at least: a task has figures from its second
  sample on.
- The rate begins anew when a task becomes ready, so that the work of starting up is never taken for load; and when its
  processor time falls, which means that it was started again.
- Memory is what the last sample said.
"""

from collections import deque
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from swarmlet.model.ids import TaskId
from swarmlet.runtime.interface import Used

WINDOW_S = 15.0


@dataclass(slots=True)
class _Series:
    ready: bool
    samples: deque[tuple[float, float]] = field(default_factory=deque)
    """Moment, and processor time so far."""
    memory_bytes: int = 0

    def add(self, at: float, used: Used, ready: bool, window_s: float) -> None:
        if (ready and not self.ready) or (self.samples and used.cpu_s < self.samples[-1][1]):
            self.samples.clear()
        self.ready = ready
        self.samples.append((at, used.cpu_s))
        while len(self.samples) > 2 and self.samples[0][0] < at - window_s:
            self.samples.popleft()
        self.memory_bytes = used.memory_bytes

    def cpu_milli(self) -> int | None:
        (first, used_before), (last, used) = self.samples[0], self.samples[-1]
        return round((used - used_before) / (last - first) * 1000) if last > first else None


class UsageMeter:
    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._series: dict[TaskId, _Series] = {}

    def take(self, used: Mapping[TaskId, Used], ready: Set[TaskId], now: float) -> None:
        """One sample of all that runs; what is not in it is forgotten."""
        for task in self._series.keys() - used.keys():
            del self._series[task]
        for task, each in used.items():
            series = self._series.setdefault(task, _Series(ready=task in ready))
            series.add(now, each, task in ready, self._window_s)

    def figures(self) -> dict[TaskId, tuple[int, int]]:
        """Thousandths of a processor and KiB, of the tasks that have been measured for long enough."""
        rates = ((task, series.cpu_milli(), series.memory_bytes) for task, series in sorted(self._series.items()))
        return {task: (rate, memory_bytes // 1024) for task, rate, memory_bytes in rates if rate is not None}
