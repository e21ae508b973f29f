"""What leaves through one connection: frames of one turn of the event loop go out in one write.

Rules: bounded by bytes and by frames; what doesn't fit is refused to the caller at once, never waited for.
While the transport is full its frames wait here, so the bound covers everything but the socket's own buffer.
"""

import asyncio

BACKLOG_BYTES_MAX = 32 << 20
"""Four frames of the largest size: a snapshot chunk never pushes heartbeats out."""
BACKLOG_FRAMES_MAX = 16_384
TRANSPORT_BUFFER_BYTES = 256 << 10
"""Above this the transport tells us to wait."""


class Outbox:
    __slots__ = ("_frames", "_loop", "_paused", "_resumed", "_scheduled", "_size_bytes", "_transport")

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._size_bytes = 0
        self._scheduled = False
        self._paused = False
        self._resumed = asyncio.Event()
        self._resumed.set()
        transport.set_write_buffer_limits(high=TRANSPORT_BUFFER_BYTES)

    def put(self, frame: bytes) -> bool:
        """False: the backlog is full and the frame is not sent."""
        if self._size_bytes + len(frame) > BACKLOG_BYTES_MAX or len(self._frames) >= BACKLOG_FRAMES_MAX:
            return False
        self._frames.append(frame)
        self._size_bytes += len(frame)
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self._loop.call_soon(self.flush)
        return True

    def flush(self) -> None:
        self._scheduled = False
        if self._paused or not self._frames:
            return
        frames, self._frames, self._size_bytes = self._frames, [], 0
        if not self._transport.is_closing():
            self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def pause(self) -> None:
        self._paused = True
        self._resumed.clear()

    def resume(self) -> None:
        self._paused = False
        self._resumed.set()
        self.flush()

    async def writable(self) -> None:
        """Returns once the transport takes bytes again, or the connection is lost."""
        await self._resumed.wait()

    def discard(self) -> None:
        """The connection is gone: nobody waits for it any longer."""
        self._frames.clear()
        self._size_bytes = 0
        self._resumed.set()
