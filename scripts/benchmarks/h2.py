"""Just enough of HTTP/2 and gRPC (RFC 9113; gRPC over HTTP2) to load an etcd at the cost of a raw socket.

grpcio's asyncio client costs this machine about as much per call as etcd's leader does, so it would be measured
itself. Rules: one small request and one small answer a stream; request headers are sent as literals, so no compression
state is kept; of an answer only is looked at whether it carries a message (an error carries trailers alone).
"""

import asyncio
import struct
from collections import deque

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
WINDOW_BYTES = 65_535
"""Of a connection and of each stream, before either side says otherwise."""
OUR_WINDOW_BYTES = 1 << 30
HEADER_BYTES = 9


class CallFailed(OSError):
    pass


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header field without indexing (RFC 7541, §6.2.2); both strings are short and not Huffman-coded."""
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def request_headers(authority: str, path: str) -> bytes:
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": authority}
    fields |= {"te": "trailers", "content-type": "application/grpc"}
    return b"".join(literal(name, value) for name, value in fields.items())


class H2Connection(asyncio.Protocol):
    """Made by `open`. `call` sends a message and gives a future for its end."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._headers: dict[str, bytes] = {}
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, asyncio.Future[None]] = {}
        self._answered: set[int] = set()
        self._next_stream = 1
        self._window_bytes = WINDOW_BYTES
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._outgoing: list[bytes] = []
        self._pending = b""

    @classmethod
    async def open(cls, host: str, port: int) -> "H2Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(f"{host}:{port}"), host, port)
        return connection

    def call(self, path: str, message: bytes) -> asyncio.Future[None]:
        done: asyncio.Future[None] = self._loop.create_future()
        if self._transport is None:
            done.set_exception(CallFailed("connection lost"))
            return done
        headers = self._headers.get(path)
        if headers is None:
            headers = self._headers[path] = request_headers(self._authority, path)
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        body = b"\0" + struct.pack("!I", len(message)) + message
        frames = frame(HEADERS, END_HEADERS, stream, headers) + frame(DATA, END_STREAM, stream, body)
        self._calls[stream] = done
        self._waiting.append((frames, len(body)))
        self._send_waiting()
        return done

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        settings = struct.pack("!HI", 4, OUR_WINDOW_BYTES)
        grow = struct.pack("!I", OUR_WINDOW_BYTES - WINDOW_BYTES)
        self._write(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, grow))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for done in self._calls.values():
            if not done.done():
                done.set_exception(CallFailed(f"connection lost: {exc}"))
        self._calls.clear()

    def data_received(self, data: bytes) -> None:
        data = self._pending + data if self._pending else data
        position, available = 0, len(data)
        while available - position >= HEADER_BYTES:
            size = int.from_bytes(data[position : position + 3])
            end = position + HEADER_BYTES + size
            if end > available:
                break
            kind, flags = data[position + 3], data[position + 4]
            stream = int.from_bytes(data[position + 5 : position + 9])
            self._on_frame(kind, flags, stream, data[position + HEADER_BYTES : end])
            position = end
        self._pending = data[position:]

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            self._answered.add(stream)
        elif kind == SETTINGS and not flags & ACK:
            self._write(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window_bytes += int.from_bytes(payload)
            self._send_waiting()
        elif kind == GOAWAY and self._transport is not None:
            self._transport.close()
        if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
            self._ended(stream, kind != RST_STREAM and stream in self._answered)

    def _ended(self, stream: int, succeeded: bool) -> None:
        self._answered.discard(stream)
        done = self._calls.pop(stream, None)
        if done is None or done.done():
            return
        if succeeded:
            done.set_result(None)
        else:
            done.set_exception(CallFailed("refused"))

    def _send_waiting(self) -> None:
        while self._waiting and self._waiting[0][1] <= self._window_bytes:
            frames, size = self._waiting.popleft()
            self._window_bytes -= size
            self._write(frames)

    def _write(self, data: bytes) -> None:
        """Gathered for one turn of the loop, as swarmlet's own connections do."""
        self._outgoing.append(data)
        if len(self._outgoing) == 1:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        gathered, self._outgoing = self._outgoing, []
        if self._transport is not None:
            self._transport.write(b"".join(gathered))
