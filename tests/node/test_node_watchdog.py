"""The watchdog on real event loops: a stuck one is found with the culprit, a quiet or a starved one is not."""

import asyncio
import os
import threading
import time
from collections.abc import Callable

import pytest

from swarmlet.node.watchdog import Beat, RunQueueDelay, Watchdog

DEADLINE_S = 10.0


class Stalls:
    """What a watchdog told."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str]] = []

    def __call__(self, duration_s: float, stack: str) -> None:
        self.told.append((duration_s, stack))


def block_the_loop_by_sleeping(duration_s: float) -> None:
    time.sleep(duration_s)


def block_the_loop_by_computing(duration_s: float) -> None:
    end = time.thread_time() + duration_s
    while time.thread_time() < end:
        pass


async def beats(count: int, beat_s: float) -> None:
    """Lets the loop be idle for so many beats: the length of the observation, not a wait for something."""
    for _ in range(count):
        await asyncio.sleep(beat_s)


@pytest.mark.parametrize("block", [block_the_loop_by_sleeping, block_the_loop_by_computing])
async def test_a_stuck_loop_is_found_with_the_stack_that_names_the_culprit(block: Callable[[float], None]) -> None:
    stalls = Stalls()
    with Watchdog(beat_s=0.02, on_stall=stalls) as watchdog:
        async with asyncio.timeout(DEADLINE_S):
            while not stalls.told:  # where other processes take all CPUs, a stall may pass before a beat was sent
                block(0.3)
                await asyncio.sleep(0.05)
        duration_s, stack = stalls.told[0]

        assert duration_s > 0.1
        assert block.__name__ in stack  # type: ignore[attr-defined]
        assert watchdog.stalls >= 1 and watchdog.longest_s >= duration_s


async def test_a_quiet_loop_is_not_accused() -> None:
    with Watchdog(beat_s=0.01) as watchdog:
        await beats(20, 0.01)

    assert watchdog.stalls == 0


def _judged(watchdog: Watchdog, delay_s: float, late_s: float, queued_s: float, cpu_s: float) -> int:
    """What it makes of an answer that came late, when the clocks said this of the meantime."""
    before = watchdog.stalls
    beat = Beat(cpu_s=time.process_time() - cpu_s, queued_s=-queued_s)
    watchdog._judge(beat, delay_s, late_s, "the stack")
    return watchdog.stalls - before


class NoQueue(RunQueueDelay):
    def __init__(self) -> None:
        self._file = None


async def test_time_spent_waiting_for_a_cpu_does_not_count() -> None:
    watchdog = Watchdog()
    watchdog._run_queue.close()
    watchdog._run_queue = NoQueue()

    assert _judged(watchdog, delay_s=0.5, late_s=0.0, queued_s=0.0, cpu_s=0.0) == 1
    assert _judged(watchdog, delay_s=0.5, late_s=0.0, queued_s=0.45, cpu_s=0.0) == 0


async def test_a_stopped_process_is_not_stuck_but_one_that_holds_the_interpreter_lock_is() -> None:
    watchdog = Watchdog()
    watchdog._run_queue.close()
    watchdog._run_queue = NoQueue()

    assert _judged(watchdog, delay_s=5.0, late_s=4.95, queued_s=0.0, cpu_s=0.0) == 0
    assert _judged(watchdog, delay_s=5.0, late_s=4.95, queued_s=0.0, cpu_s=4.9) == 1


def test_run_queue_delay_is_read_from_the_kernel_and_0_where_there_is_none() -> None:
    delay = RunQueueDelay(threading.get_native_id())
    assert delay.read_s() >= 0.0
    delay.close()
    assert delay.read_s() == 0.0

    missing = RunQueueDelay(2**22 + os.getpid())
    assert missing.read_s() == 0.0
    missing.close()


def test_it_ends_when_its_loop_is_closed() -> None:
    watchdog: list[Watchdog] = []

    async def start() -> None:
        watchdog.append(Watchdog(beat_s=0.01))
        watchdog[0].start()

    asyncio.run(start())

    watchdog[0]._thread.join(DEADLINE_S)
    assert not watchdog[0]._thread.is_alive()
    watchdog[0].stop()
