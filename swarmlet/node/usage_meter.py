"""From what containers have used so far to what they use now. Pure.

Rules:
- Processor time is a rate over the last `window_s`, and over two samples at least: a task has figures from its second
  sample on.
- The rate begins anew when a task becomes ready, so that the work of starting up is never taken for load; and when its
  processor time falls, which means that it was started again.
- Memory is what the last sample said.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from swarmlet.model.ids import TaskId
from swarmlet.node.rate import Rate
from swarmlet.runtime.interface import Used

WINDOW_S = 15.0


@dataclass(slots=True)
class _Series:
    cpu: Rate
    ready: bool
    memory_bytes: int = 0

    def add(self, at: float, used: Used, ready: bool) -> None:
        before = self.cpu.total
        if (ready and not self.ready) or (before is not None and used.cpu_s < before):
            self.cpu.begin_anew()
        self.ready = ready
        self.cpu.add(at, used.cpu_s)
        self.memory_bytes = used.memory_bytes

    def cpu_milli(self) -> int | None:
        rate = self.cpu.per_s()
        return None if rate is None else round(rate * 1000)


class UsageMeter:
    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._series: dict[TaskId, _Series] = {}

    def take(self, used: Mapping[TaskId, Used], ready: Set[TaskId], now: float) -> None:
        """One sample of all that runs; what is not in it is forgotten."""
        for task in self._series.keys() - used.keys():
            del self._series[task]
        for task, each in used.items():
            if task not in self._series:
                self._series[task] = _Series(Rate(self._window_s), ready=task in ready)
            self._series[task].add(now, each, task in ready)

    def figures(self) -> dict[TaskId, tuple[int, int]]:
        """Thousandths of a processor and KiB, of the tasks that have been measured for long enough."""
        rates = ((task, series.cpu_milli(), series.memory_bytes) for task, series in sorted(self._series.items()))
        return {task: (rate, memory_bytes // 1024) for task, rate, memory_bytes in rates if rate is not None}
