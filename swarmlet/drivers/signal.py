"""Wakes whoever waits for a change. What changed they read for themselves: loops here are level-triggered."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Signal:
    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def set(self) -> None:
        for listener in self._listeners:
            listener.set()

    def add(self, listener: asyncio.Event) -> None:
        self._listeners.add(listener)

    def discard(self, listener: asyncio.Event) -> None:
        self._listeners.discard(listener)


@contextmanager
def listening(*signals: Signal) -> Iterator[asyncio.Event]:
    """One event that any of the signals sets, while the block runs. The listener clears it before it looks."""
    event = asyncio.Event()
    for signal in signals:
        signal.add(event)
    try:
        yield event
    finally:
        for signal in signals:
            signal.discard(event)


async def wait_at_most(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether the event was set within the time."""
    try:
        async with asyncio.timeout(max(timeout_s, 0.0)):
            await event.wait()
    except TimeoutError:
        return False
    return True
