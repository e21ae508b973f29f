"""Virtual time: things happen in the order of their times, and at equal times in the order of their making."""

import heapq
from collections.abc import Callable
from itertools import count


class Timeline:
    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, delay_s: float, happening: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + delay_s, next(self._order), happening))

    def run_until(self, end: float) -> None:
        while self._queue and self._queue[0][0] <= end:
            self.now, _, happening = heapq.heappop(self._queue)
            happening()
        self.now = end
