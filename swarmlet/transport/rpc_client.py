"""The asking side of an rpc connection: notifications, calls and streams, multiplexed over one TLS stream.

Rules: each request has an id of its own on this connection; an answer to an id nobody waits for (any more) is
ignored. When the connection is lost everything open on it fails with `PeerUnavailable`, at once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from functools import partial
from itertools import count
from typing import cast

from swarmlet.security.keys import KeyId
from swarmlet.security.peer_tls import vouching_key
from swarmlet.transport.errors import PeerUnavailable, ProtocolViolation, RemoteError, Target
from swarmlet.transport.frames import PROTOCOL_VERSION, FrameDecoder, Kind, Message, encode_frame, parse_rpc
from swarmlet.transport.outbox import Outbox

OPEN_REQUESTS_MAX = 4096
"""Calls and streams of one connection that wait for an answer; a caller above it is refused."""
STREAM_WINDOW_BYTES = 1 << 20
"""What a remote stream may be ahead of its reader here."""
ITEM_COST_BYTES = 64
"""Counted for each stream item besides its body, so that empty items are bounded too."""


class OpenStream:
    """Items that have arrived and were not yet read; at most `STREAM_WINDOW_BYTES` of them."""

    __slots__ = ("arrived", "error", "items")

    def __init__(self) -> None:
        self.items: deque[bytes] = deque()
        self.arrived = asyncio.Event()
        self.error: Exception | None = None
        """Set once nothing more comes; `StopAsyncIteration` for the regular end."""

    def end(self, error: Exception) -> None:
        self.error = error
        self.arrived.set()


class RpcClient(asyncio.Protocol):
    """Made by `PeerLink`; usable after `connection_made`."""

    def __init__(self, target: Target, on_lost: Callable[["RpcClient"], None]) -> None:
        self._target = target
        self._on_lost = on_lost
        self._decoder = FrameDecoder()
        self._ids = count(1)
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._streams: dict[int, OpenStream] = {}
        self._transport: asyncio.Transport | None = None
        self._outbox: Outbox | None = None

    @property
    def is_idle(self) -> bool:
        return not self._calls and not self._streams

    @property
    def vouched_by(self) -> KeyId | None:
        """The cluster key behind the peer's certificate; None once the connection is lost."""
        return None if self._transport is None else vouching_key(self._transport.get_extra_info("ssl_object"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the class.
        self._transport = cast(asyncio.Transport, transport)
        self._outbox = Outbox(self._transport)
        self._outbox.put(encode_frame("rpc", PROTOCOL_VERSION))

    def connection_lost(self, exc: Exception | None) -> None:
        error = PeerUnavailable(self._target, f"connection lost: {exc}" if exc else "connection closed")
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(error)
        for stream in self._streams.values():
            stream.end(error)
        self._calls.clear()
        self._streams.clear()
        if self._outbox is not None:
            self._outbox.discard()
        self._transport = self._outbox = None
        self._on_lost(self)

    def pause_writing(self) -> None:
        if self._outbox is not None:
            self._outbox.pause()

    def resume_writing(self) -> None:
        if self._outbox is not None:
            self._outbox.resume()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def put(self, frame: bytes) -> bool:
        return self._outbox is not None and self._outbox.put(frame)

    async def call(self, method: str, body: bytes) -> bytes:
        """Has no deadline of its own: the caller cancels it."""
        return await self.begin_call(method, body)

    def begin_call(self, method: str, body: bytes) -> asyncio.Future[bytes]:
        """Sent when it returns. Whoever loses interest cancels the future."""
        request = self._open_request()
        self._put_or_fail(encode_frame(Kind.CALL, request, method, body))
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._calls[request] = answer
        answer.add_done_callback(partial(self._call_ended, request))
        return answer

    def _call_ended(self, request: int, _answer: asyncio.Future[bytes]) -> None:
        if self._calls.pop(request, None) is not None:
            # It ended without an answer: the peer need not go on.
            self.put(encode_frame(Kind.CANCEL, request))

    async def stream(self, method: str, body: bytes) -> AsyncGenerator[bytes, None]:
        request = self._open_request()
        frame = encode_frame(Kind.STREAM, request, method, body)
        stream = self._streams[request] = OpenStream()
        try:
            self._put_or_fail(frame)
            while True:
                while stream.items:
                    item = stream.items.popleft()
                    yield item
                    self.put(encode_frame(Kind.CREDIT, request, len(item) + ITEM_COST_BYTES))
                if stream.error is not None:
                    break
                stream.arrived.clear()
                await stream.arrived.wait()
            if not isinstance(stream.error, StopAsyncIteration):
                raise stream.error
        finally:
            if self._streams.pop(request, None) is not None and stream.error is None:
                self.put(encode_frame(Kind.CANCEL, request))

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._decoder.feed(data):
                self._on_message(parse_rpc(payload))
        except ProtocolViolation:
            self.abort()

    def eof_received(self) -> bool:
        return False

    def _open_request(self) -> int:
        if len(self._calls) + len(self._streams) >= OPEN_REQUESTS_MAX:
            raise PeerUnavailable(self._target, f"{OPEN_REQUESTS_MAX} requests are open already")
        return next(self._ids)

    def _put_or_fail(self, frame: bytes) -> None:
        if not self.put(frame):
            raise PeerUnavailable(self._target, "connection closed" if self._outbox is None else "its backlog is full")

    def _on_message(self, message: Message) -> None:
        match message:
            case (Kind.REPLY, int(request), bytes(body)):
                answer = self._calls.pop(request, None)
                if answer is not None and not answer.done():
                    answer.set_result(body)
            case (Kind.ERROR, int(request), str(code), str(text)):
                self._on_error(request, RemoteError(code, text))
            case (Kind.ITEM, int(request), bytes(body)):
                stream = self._streams.get(request)
                if stream is not None:
                    stream.items.append(body)
                    stream.arrived.set()
            case (Kind.END, int(request)):
                stream = self._streams.get(request)
                if stream is not None:
                    stream.end(StopAsyncIteration())
            case _:
                raise ProtocolViolation("a request came from the answering side")

    def _on_error(self, request: int, error: RemoteError) -> None:
        answer, stream = self._calls.pop(request, None), self._streams.get(request)
        if answer is not None and not answer.done():
            answer.set_exception(error)
        if stream is not None:
            stream.end(error)
