"""One relayed connection inside a TLS connection: raw bytes, and an end of each direction.

TLS as asyncio has it can't close one direction only, and a relay must: many protocols say "that was all" by a
half-close. So relayed bytes travel in chunks (four bytes of length, then so many bytes) and a chunk of length 0 is
the end of its direction. A connection whose two directions have ended is as good as new and serves the next relay;
that saves a handshake, which costs more than most requests.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from swarmlet.transport.frames import LENGTH

CHUNK_SIZE_BYTES_MAX = 1 << 20
"""Larger writes are sent as several chunks."""
END = LENGTH.pack(0)


class RelayStream(asyncio.Transport):
    """What the relay's protocol sees as its transport. `wire` is the TLS transport below."""

    def __init__(self, wire: asyncio.Transport, protocol: asyncio.Protocol, on_finished: Callable[[], None]) -> None:
        super().__init__()
        self._wire = wire
        self._protocol = protocol
        self._on_finished = on_finished
        self._header = b""
        self._remaining = 0
        """Of the chunk that is being received."""
        self._ended_here = False
        self._ended_there = False
        self._closing = False

    # What the protocol above calls.

    def write(self, data: Any) -> None:
        size = len(data)
        if self._closing or not size:
            return
        assert not self._ended_here, "write after write_eof"
        if size <= CHUNK_SIZE_BYTES_MAX:
            self._wire.write(b"".join((LENGTH.pack(size), data)))
            return
        view = memoryview(data)
        for start in range(0, size, CHUNK_SIZE_BYTES_MAX):
            self.write(view[start : start + CHUNK_SIZE_BYTES_MAX])

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._ended_here and not self._closing:
            self._ended_here = True
            self._wire.write(END)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._ended_here and self._ended_there:
            self._wire.resume_reading()
            self._on_finished()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)
        else:
            self._wire.close()

    def abort(self) -> None:
        self._closing = True
        self._wire.abort()

    def is_closing(self) -> bool:
        return self._closing or self._wire.is_closing()

    def pause_reading(self) -> None:
        # A finished relay has no say any more: its connection may serve the next one already.
        if not self._closing:
            self._wire.pause_reading()

    def resume_reading(self) -> None:
        if not self._closing:
            self._wire.resume_reading()

    def is_reading(self) -> bool:
        return self._wire.is_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._wire.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._wire.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._wire.get_extra_info(name, default)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    # What the connection below calls.

    def begin(self) -> None:
        self._protocol.connection_made(self)

    def feed(self, data: bytes) -> bytes:
        """Hand on what arrived. Returns what follows the end of this direction: it belongs to the next relay."""
        while data and not self._ended_there:
            if self._remaining:
                piece, data = data[: self._remaining], data[self._remaining :]
                self._remaining -= len(piece)
                if not self._closing:
                    self._protocol.data_received(piece)
                continue
            missing = LENGTH.size - len(self._header)
            self._header, data = self._header + data[:missing], data[missing:]
            if len(self._header) == LENGTH.size:
                self._remaining, self._header = LENGTH.unpack(self._header)[0], b""
                if not self._remaining:
                    self._on_end()
        return data

    def _on_end(self) -> None:
        self._ended_there = True
        if not self._closing and not self._protocol.eof_received():
            self.close()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def lost(self, error: Exception | None) -> None:
        """The TLS connection is gone. Before both ends were seen that is a reset, however politely it came."""
        closed_by_us, self._closing = self._closing, True
        if error is None and not closed_by_us:
            error = ConnectionResetError("the relay's connection ended before the relayed one")
        self._protocol.connection_lost(error)
