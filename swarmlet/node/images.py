"""Images, each fetched once however many tasks wait for it.

A fetch goes on when those who waited are cancelled: it is bounded, and the image is likely wanted again. An image
that was had a moment ago is not asked for again, so that many tasks of one service cost one question; should it
vanish in between, creating the container says so and the next attempt fetches it.
"""

import asyncio
from collections.abc import Callable

from swarmlet.model.container import PullPolicy
from swarmlet.runtime.interface import Runtime

FRESH_S = 5.0
"""How long 'it is here' is believed: about as long as one deployment's tasks take to arrive."""
REMEMBERED_MAX = 1_000
"""Images remembered as fresh; the oldest is forgotten first."""


_Wanted = tuple[str, PullPolicy]


class Images:
    def __init__(self, runtime: Runtime, clock: Callable[[], float], timeout_s: float) -> None:
        self._runtime = runtime
        self._clock = clock
        self._timeout_s = timeout_s
        self._fetches: dict[_Wanted, asyncio.Task[None]] = {}
        self._had_at: dict[_Wanted, float] = {}

    async def ensure(self, image: str, policy: PullPolicy = PullPolicy.MISSING) -> None:
        """Return when the image is here, as the policy wants it. Raises the runtime's errors and `TimeoutError`."""
        wanted = (image, policy)
        had_at = self._had_at.get(wanted)
        if had_at is not None and self._clock() - had_at < FRESH_S:
            return
        fetch = self._fetches.get(wanted)
        if fetch is None:
            fetch = asyncio.get_running_loop().create_task(self._fetch(wanted))
            self._fetches[wanted] = fetch
            fetch.add_done_callback(lambda done: self._ended(wanted, done))
        await asyncio.shield(fetch)

    def doubt(self, image: str) -> None:
        """A container could not be made from it: ask again next time."""
        for policy in PullPolicy:
            self._had_at.pop((image, policy), None)

    async def close(self) -> None:
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    async def _fetch(self, wanted: _Wanted) -> None:
        async with asyncio.timeout(self._timeout_s):
            await self._runtime.ensure_image(*wanted)
        self._had_at.pop(wanted, None)
        self._had_at[wanted] = self._clock()
        while len(self._had_at) > REMEMBERED_MAX:
            del self._had_at[next(iter(self._had_at))]

    def _ended(self, wanted: _Wanted, fetch: asyncio.Task[None]) -> None:
        self._fetches.pop(wanted, None)
        if not fetch.cancelled():
            fetch.exception()  # those who waited got it; when all were cancelled nobody needs it
