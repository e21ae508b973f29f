"""From the death of a leader to the next write that is accepted, taken alike for swarmlet and for etcd.

A new attempt begins every 20 ms at the survivors in turn, without waiting for earlier ones: either store may hold an
attempt that was made too early for seconds, and what counts is when the first one, whichever, is acknowledged.
"""

import asyncio
import time
from collections.abc import Callable

import uvloop

from benchmarks.store_targets import Target, make_target

ATTEMPT_EVERY_S = 0.02
DEADLINE_S = 30.0


def next_accepted_s(kind: str, survivors: list[str], kill: Callable[[], None]) -> float:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_next_accepted_s(kind, survivors, kill))


async def _next_accepted_s(kind: str, survivors: list[str], kill: Callable[[], None]) -> float:
    accepted: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    attempts: set[asyncio.Task[None]] = set()
    started = time.perf_counter()
    kill()
    try:
        for number in range(int(DEADLINE_S / ATTEMPT_EVERY_S)):
            target = make_target(kind, [survivors[number % len(survivors)]], "")
            attempts.add(asyncio.create_task(_attempt(target, number, accepted)))
            done, _ = await asyncio.wait([accepted], timeout=ATTEMPT_EVERY_S)
            if done:
                return accepted.result() - started
    finally:
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
    raise TimeoutError(f"no write was accepted within {DEADLINE_S:g} s of the leader's death")


async def _attempt(target: Target, number: int, accepted: "asyncio.Future[float]") -> None:
    try:
        await target.open(1)
        await target.write(0, number + 1)
    except OSError:
        return  # refused: a later attempt will not be
    finally:
        await target.close()
    if not accepted.done():
        accepted.set_result(time.perf_counter())
