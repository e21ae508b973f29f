"""Hands container events to everyone who reads them, each at their own pace.

A reader that falls behind by `EVENTS_WAITING_MAX` loses what waits and is told to resync instead: the queue
is bounded, and nothing is missed without a word.
"""

import asyncio
from collections.abc import AsyncGenerator

from swarmlet.runtime.interface import RESYNC, ContainerEvent

EVENTS_WAITING_MAX = 4_096


class EventFanout:
    """`connected` is whether events are flowing: a new reader's first RESYNC waits until they are."""

    def __init__(self, connected: bool) -> None:
        self._connected = connected
        self._closed = False
        self._readers: set[asyncio.Queue[ContainerEvent | None]] = set()

    def connected(self) -> None:
        """Events flow (again): every reader resyncs."""
        self._connected = True
        self.tell(RESYNC)

    def disconnected(self) -> None:
        self._connected = False

    def tell(self, event: ContainerEvent) -> None:
        for reader in self._readers:
            if reader.full():
                while not reader.empty():
                    reader.get_nowait()
                reader.put_nowait(RESYNC)
            else:
                reader.put_nowait(event)

    async def read(self) -> AsyncGenerator[ContainerEvent, None]:
        queue: asyncio.Queue[ContainerEvent | None] = asyncio.Queue(EVENTS_WAITING_MAX)
        self._readers.add(queue)
        if self._connected:
            queue.put_nowait(RESYNC)
        try:
            while not self._closed and (event := await queue.get()) is not None:
                yield event
        finally:
            self._readers.discard(queue)

    def close(self) -> None:
        self._closed = True
        for reader in self._readers:
            if reader.full():
                reader.get_nowait()
            reader.put_nowait(None)
