"""A number that grows, and those who wait until it has reached theirs.

Each is woken once, when its time has come: with a thousand writes under way, waking all of them at every step to
look for themselves would cost a million looks.
"""

import asyncio
from heapq import heappop, heappush
from itertools import count


class Watermark:
    def __init__(self, value: int = 0) -> None:
        self.value = value
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    def advance(self, value: int) -> None:
        self.value = value
        while self._waiting and self._waiting[0][0] <= value:
            _, _, reached = heappop(self._waiting)
            if not reached.done():
                reached.set_result(None)

    async def reach(self, value: int, timeout_s: float) -> bool:
        """Whether it was reached within the time."""
        if self.value >= value:
            return True
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (value, next(self._order), reached))
        try:
            async with asyncio.timeout(max(timeout_s, 0.0)):
                await reached
        except TimeoutError:
            return self.value >= value
        return True
