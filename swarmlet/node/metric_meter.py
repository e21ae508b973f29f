"""From readings of tasks' own metrics to their values now: gauges as they are, counters as rates. Pure.

A counter's rate is over the last `window_s`, and over two readings at least. One that fell began anew: what it says now
is what it grew by. A series that appears grew by nothing yet, since nobody knows when it began.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmlet.model.ids import TaskId
from swarmlet.node.metric_text import Labels, Reading
from swarmlet.node.rate import Rate
from swarmlet.node.usage_meter import WINDOW_S

Name = tuple[TaskId, str]
"""A task and the metric's key."""


@dataclass(slots=True)
class _Counter:
    grown: Rate
    """By how much all series together have grown since it was first read."""
    last: Mapping[Labels, float] = field(default_factory=dict)

    def add(self, at: float, series: Mapping[Labels, float]) -> None:
        growth = self.grown.total or 0.0
        for labels, value in series.items():
            before = self.last.get(labels, value)
            growth += value - before if value >= before else value
        self.last = series
        self.grown.add(at, growth)


class MetricMeter:
    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._counters: dict[Name, _Counter] = {}

    def take(self, readings: Mapping[Name, Reading], now: float) -> dict[Name, float]:
        """The values of what was read this time; what was not is forgotten."""
        for name in self._counters.keys() - readings.keys():
            del self._counters[name]
        values: dict[Name, float] = {}
        for name, reading in readings.items():
            value = self._rate(name, reading, now) if reading.counter else math.fsum(reading.series.values())
            if value is not None:
                values[name] = value
        return values

    def _rate(self, name: Name, reading: Reading, now: float) -> float | None:
        if name not in self._counters:
            self._counters[name] = _Counter(Rate(self._window_s))
        counter = self._counters[name]
        counter.add(now, reading.series)
        return counter.grown.per_s()
