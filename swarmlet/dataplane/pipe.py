"""Two connections joined: what arrives on one leaves on the other.

Rules:
- Bytes go straight from `data_received` to the other side's `write`; no task, no queue of our own.
- Flow control both ways: while a side's write buffer is above its limit, the other side is not read.
- An end (FIN) of one direction is passed on and the other direction stays open; when both have ended, both sides are
  closed after what is buffered has left. A reset of one side resets the other.
- A side is not read before it is joined, so what a client sends early waits in the kernel.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from swarmlet.transport.sockets import HasDescriptor, reset_on_close

WRITE_BUFFER_BYTES = 256 << 10
"""Per direction; one read of uvloop's size may come on top of it."""


class Pipe(asyncio.Protocol):
    """One side. `on_lost` is called once when its connection is gone."""

    __slots__ = ("_early", "_ended", "_on_lost", "_other", "_waits_for", "transport")

    def __init__(self, on_lost: Callable[["Pipe"], None], waits_for: "Pipe | None" = None) -> None:
        """With `waits_for`, it is joined to that side as soon as it is connected itself."""
        self._on_lost = on_lost
        self._waits_for = waits_for
        self._other: asyncio.Transport | None = None
        self._early: list[bytes] = []
        """What the loop had read before it was told not to: a read or two, kept until the join."""
        self._ended = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the class.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.transport.pause_reading()
        waits_for, self._waits_for = self._waits_for, None
        if waits_for is not None:
            join(waits_for, self)

    def data_received(self, data: bytes) -> None:
        other = self._other
        if other is not None:
            other.write(data)
            return
        self._early.append(data)
        if self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        return self._other is None or self._pass_end_on(self._other)

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        other, self._other, self.transport = self._other, None, None
        if other is not None and not other.is_closing():
            if exc is not None:
                reset(other)
            else:
                other.close()
        waits_for, self._waits_for = self._waits_for, None
        if waits_for is not None and waits_for.transport is not None:
            # It was given up before it was ever connected: the side it was made for goes too.
            reset(waits_for.transport)
        self._on_lost(self)

    def _joined(self, other: asyncio.Transport) -> None:
        self._other = other
        early, self._early = self._early, []
        for data in early:
            other.write(data)

    def _pass_end_on(self, other: asyncio.Transport) -> bool:
        """False: both directions are complete, and this side's transport is to be closed too."""
        if not other.is_closing():
            other.write_eof()
        if cast(Pipe, other.get_protocol())._ended:
            # Closing flushes what is still buffered.
            other.close()
            return False
        return True


def join(one: Pipe, two: Pipe) -> None:
    """Connect two sides; if one is gone already, the other one goes too."""
    if one.transport is None or two.transport is None:
        for left in (one.transport, two.transport):
            if left is not None:
                reset(left)
        return
    one._joined(two.transport)
    two._joined(one.transport)
    for side, other in ((one, two), (two, one)):
        if side._ended and other.transport is not None:
            side._pass_end_on(other.transport)
    for transport in (one.transport, two.transport):
        if not transport.is_closing():
            transport.resume_reading()


def reset(transport: asyncio.Transport) -> None:
    """Close at once and let the other end know that it is no regular end."""
    connected = cast(HasDescriptor | None, transport.get_extra_info("socket"))
    if connected is not None and connected.fileno() >= 0:
        reset_on_close(connected)
    transport.abort()
