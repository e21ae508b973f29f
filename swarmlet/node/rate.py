"""How fast something grows that only its total is known of: over a window of samples, two at least. Pure."""

from collections import deque


class Rate:
    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, float]] = deque()
        """Moment, and the total then."""

    @property
    def total(self) -> float | None:
        """What the last sample said; None before the first."""
        return self._samples[-1][1] if self._samples else None

    def add(self, at: float, total: float) -> None:
        self._samples.append((at, total))
        while len(self._samples) > 2 and self._samples[0][0] < at - self._window_s:
            self._samples.popleft()

    def begin_anew(self) -> None:
        self._samples.clear()

    def per_s(self) -> float | None:
        """None until there are two samples of different moments."""
        if not self._samples:
            return None
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        return (after - before) / (last - first) if last > first else None
