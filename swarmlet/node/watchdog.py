"""Sees when the event loop is stuck, while it is: a thread that expects an answer to a beat each 100 ms.

A stuck loop delays Raft heartbeats, probes and proxied bytes at once, and from inside it can't be seen. The thread
hands the loop a callback; if that has not run in time it samples the loop thread's stack, which names the culprit.

What counts: the delay of the answer, less what was not the loop's doing:
- the time its thread waited for a CPU (run-queue delay, the second number of `/proc/self/task/TID/schedstat`; a
  kernel without it makes this 0): on an overloaded machine everything is late and no stack explains it;
- the time by which this thread itself woke late, unless this process burned CPU meanwhile: a stopped or starved
  process is not stuck, one whose loop holds the interpreter lock in C code is.
A stall of `threshold_s` plus one beat is always found; one between the two only if a beat falls into its beginning.

At rest a beat costs one wake-up of each thread and a read of a few bytes: 0.25 % of a core under uvloop where a wake-up
costs 75 µs, as on a small virtual machine. That price sets its interval.
"""

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger()

FRAMES_MAX = 16
"""Of a sampled stack, the innermost ones: deeper than that is the event loop itself."""
STUCK_SLICE_S = 0.02
"""While an answer is overdue it is looked for this often."""
STUCK_AFTER_S = 5.0
"""A stall this long is told while it lasts: it may never end."""


class RunQueueDelay:
    """How long a thread has waited for a CPU so far."""

    def __init__(self, native_thread_id: int) -> None:
        try:
            self._file: int | None = os.open(f"/proc/self/task/{native_thread_id}/schedstat", os.O_RDONLY)
        except OSError:
            self._file = None

    def read_s(self) -> float:
        if self._file is None:
            return 0.0
        try:
            return int(os.pread(self._file, 64, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Beat:
    """One question to the loop, and what the clocks said when it was asked."""

    __slots__ = ("answered_at", "cpu_s", "queued_s", "sent_at")

    def __init__(self, cpu_s: float, queued_s: float) -> None:
        self.cpu_s = cpu_s
        self.queued_s = queued_s
        self.sent_at = 0.0
        self.answered_at: float | None = None

    def answer(self) -> None:
        self.answered_at = time.monotonic()


class Watchdog:
    """Made and started in the loop's thread. `on_stall(duration_s, stack)` is called in the watchdog's own thread."""

    def __init__(
        self,
        threshold_s: float = 0.1,
        beat_s: float = 0.1,
        on_stall: Callable[[float, str], None] | None = None,
    ) -> None:
        assert 0 < beat_s <= threshold_s
        self.stalls = 0
        self.longest_s = 0.0
        self._threshold_s = threshold_s
        self._beat_s = beat_s
        self._on_stall = on_stall
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._run_queue = RunQueueDelay(threading.get_native_id())
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for the thread, which looks up once a beat."""
        self._stopping = True
        self._thread.join()
        self._run_queue.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _watch(self) -> None:
        while not self._stopping:
            beat = Beat(time.process_time(), self._run_queue.read_s())
            try:
                self._loop.call_soon_threadsafe(beat.answer)
            except RuntimeError:
                return  # the loop is closed: nothing left to watch
            beat.sent_at = time.monotonic()
            late_s = self._sleep(self._beat_s)
            stack = ""
            if beat.answered_at is None:
                overdue_s, stack = self._await_answer(beat)
                late_s += overdue_s
            if beat.answered_at is not None and beat.answered_at - beat.sent_at > self._threshold_s:
                self._judge(beat, beat.answered_at - beat.sent_at, late_s, stack)

    def _await_answer(self, beat: Beat) -> tuple[float, str]:
        """Returns by how much this thread woke late, and the loop's stack if the answer took too long."""
        late_s, stack, told = 0.0, "", False
        while beat.answered_at is None and not self._stopping:
            if not stack and time.monotonic() - beat.sent_at >= self._threshold_s:
                stack = self._sample()
            late_s += self._sleep(STUCK_SLICE_S)
            waited_s = time.monotonic() - beat.sent_at
            if not told and waited_s - late_s > STUCK_AFTER_S:
                told = True
                log.error("event_loop_stuck", so_far_s=round(waited_s, 1), stack=self._sample())
        return late_s, stack

    def _sleep(self, duration_s: float) -> float:
        """Returns by how much the sleep was too long."""
        began = time.monotonic()
        time.sleep(duration_s)
        return max(0.0, time.monotonic() - began - duration_s)

    def _sample(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is None:
            return ""
        return "".join(traceback.format_stack(frame)[-FRAMES_MAX:])

    def _judge(self, beat: Beat, delay_s: float, late_s: float, stack: str) -> None:
        starved_s = max(0.0, late_s - (time.process_time() - beat.cpu_s))
        queued_s = self._run_queue.read_s() - beat.queued_s
        duration_s = delay_s - starved_s - queued_s
        if duration_s <= self._threshold_s:
            return
        self.stalls += 1
        self.longest_s = max(self.longest_s, duration_s)
        log.warning("event_loop_stalled", duration_s=round(duration_s, 3), stack=stack or "ended before it was sampled")
        if self._on_stall is not None:
            self._on_stall(duration_s, stack)
