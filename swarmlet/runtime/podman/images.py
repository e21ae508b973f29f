"""Images on the engine: known ones cost nothing, missing ones are pulled once however many tasks wait for them.

With the policy `always` the registry is asked each time, by one pull for all that wait at that moment; what is here
already is not fetched again, only compared.
"""

import asyncio
import time

from swarmlet.model.container import PullPolicy
from swarmlet.runtime.interface import ImageUnavailable
from swarmlet.runtime.podman.engine import Engine, EngineRefused
from swarmlet.runtime.podman.streams import EngineStreams, json_lines

KNOWN_FOR_S = 60.0
"""How long an image is taken to be here without asking: creating a container tells if it isn't."""
PULL_TIMEOUT_S = 1800.0
IMAGES_KNOWN_MAX = 1_000


class Images:
    def __init__(self, engine: Engine, streams: EngineStreams) -> None:
        self._engine = engine
        self._streams = streams
        self._known_until: dict[str, float] = {}
        self._under_way: dict[tuple[str, PullPolicy], asyncio.Task[None]] = {}

    async def ensure(self, image: str, policy: PullPolicy) -> None:
        if policy is not PullPolicy.ALWAYS and self._known_until.get(image, 0.0) > time.monotonic():
            return
        task = self._under_way.get((image, policy))
        if task is None:
            task = asyncio.create_task(self._fetch(image, policy))
            self._under_way[image, policy] = task
            task.add_done_callback(lambda done: self._finished(image, policy, done))
        await asyncio.shield(task)

    def forget(self, image: str) -> None:
        """The engine said it isn't here after all."""
        self._known_until.pop(image, None)

    async def close(self) -> None:
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finished(self, image: str, policy: PullPolicy, task: asyncio.Task[None]) -> None:
        del self._under_way[image, policy]
        if not task.cancelled() and task.exception() is None:
            if len(self._known_until) >= IMAGES_KNOWN_MAX:
                self._known_until.clear()
            self._known_until[image] = time.monotonic() + KNOWN_FOR_S

    async def _fetch(self, image: str, policy: PullPolicy) -> None:
        try:
            if policy is not PullPolicy.ALWAYS:
                reply = await self._engine.call("GET", f"/images/{image}/exists", accept=(404,))
                if reply.status != 404:
                    return
            if policy is PullPolicy.NEVER:
                raise ImageUnavailable(image, "it is not on this node, and its pull policy is never")
            async with asyncio.timeout(PULL_TIMEOUT_S):
                await self._pull(image)
        except TimeoutError:
            raise ImageUnavailable(image, f"the pull did not end within {PULL_TIMEOUT_S:g} s") from None
        except EngineRefused as refused:
            raise ImageUnavailable(image, refused.message) from None

    async def _pull(self, image: str) -> None:
        """The engine answers 200 at once and tells failure as a line in the body."""
        error = ""
        async with self._streams.open("POST", "/images/pull", {"reference": image}) as reader:
            async for line in json_lines(reader):
                error = str(line.get("error") or error)
        if error:
            raise ImageUnavailable(image, " ".join(error.split()))
