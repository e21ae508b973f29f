"""The answering side of an rpc connection.

Rules: notifications are handled at once, in order, without a task. Streams, and calls whose handler gives no future,
run in a task each. At most `RUNNING_MAX` calls and streams are open on one connection; they are cancelled when the
asker says so or the connection is lost. A stream waits while its reader is `STREAM_WINDOW_BYTES` behind, and the answer
of a task waits while the transport is full.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any, cast

import structlog

from swarmlet.model.ids import NodeId
from swarmlet.transport.errors import FrameTooLarge, ProtocolViolation, RemoteError
from swarmlet.transport.frames import FrameDecoder, Kind, Message, encode_frame, parse_rpc
from swarmlet.transport.handlers import Handlers, as_remote_error
from swarmlet.transport.outbox import Outbox
from swarmlet.transport.rpc_client import ITEM_COST_BYTES, STREAM_WINDOW_BYTES
from swarmlet.transport.tasks import TaskScope

RUNNING_MAX = 1024
"""Calls and streams that one peer may have running here at once."""
BUSY = "Busy"

log = structlog.get_logger()


class Window:
    """How much a stream may still send before its reader must have caught up."""

    __slots__ = ("_available_bytes", "_grown")

    def __init__(self) -> None:
        self._available_bytes = STREAM_WINDOW_BYTES
        self._grown = asyncio.Event()

    def grow(self, size_bytes: int) -> None:
        # A peer can't enlarge its window beyond the agreed one by sending credit it never got items for.
        self._available_bytes = min(self._available_bytes + size_bytes, STREAM_WINDOW_BYTES)
        self._grown.set()

    async def take(self, size_bytes: int) -> None:
        """One item may overdraw the window, so that an item larger than all of it still passes."""
        while self._available_bytes <= 0:
            self._grown.clear()
            await self._grown.wait()
        self._available_bytes -= size_bytes


class RpcServer(asyncio.Protocol):
    """Takes over an accepted connection after its hello."""

    def __init__(self, sender: NodeId, handlers: Handlers, scope: TaskScope, on_lost: Callable[[], None]) -> None:
        self._sender = sender
        self._on_lost = on_lost
        self._handlers = handlers
        self._scope = scope
        self._decoder = FrameDecoder()
        self._running: dict[int, asyncio.Future[Any]] = {}
        self._windows: dict[int, Window] = {}
        self._transport: asyncio.Transport | None = None
        self._outbox: Outbox | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the class.
        self._transport = cast(asyncio.Transport, transport)
        self._outbox = Outbox(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._outbox is not None:
            self._outbox.discard()
        self._transport = self._outbox = None
        for task in self._running.values():
            task.cancel()
        self._on_lost()

    def pause_writing(self) -> None:
        if self._outbox is not None:
            self._outbox.pause()

    def resume_writing(self) -> None:
        if self._outbox is not None:
            self._outbox.resume()

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._decoder.feed(data):
                self._on_message(parse_rpc(payload))
        except ProtocolViolation as error:
            self._handlers.violations += 1
            log.warning("peer_protocol_violation", peer=self._sender, problem=str(error))
            self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _on_message(self, message: Message) -> None:
        match message:
            case (Kind.NOTIFY, str(method), bytes(body)):
                self._handlers.run_notify(self._sender, method, body)
            case (Kind.CALL, int(request), str(method), bytes(body)):
                if self._admit(request):
                    self._begin_call(request, method, body)
            case (Kind.STREAM, int(request), str(method), bytes(body)):
                if self._admit(request):
                    window = self._windows[request] = Window()
                    self._start(request, self._answer_stream(request, method, body, window))
            case (Kind.CANCEL, int(request)):
                if request in self._running:
                    self._running[request].cancel()
            case (Kind.CREDIT, int(request), int(size_bytes)):
                if request in self._windows:
                    self._windows[request].grow(size_bytes)
            case _:
                raise ProtocolViolation("an answer came from the asking side")

    def _admit(self, request: int) -> bool:
        if request in self._running:
            raise ProtocolViolation(f"request id {request} is used twice")
        if len(self._running) < RUNNING_MAX:
            return True
        refusal = encode_frame(Kind.ERROR, request, BUSY, f"{RUNNING_MAX} requests of this peer are running already")
        self._put_or_abort(refusal)
        return False

    def _begin_call(self, request: int, method: str, body: bytes) -> None:
        try:
            answer = self._handlers.begin_call(self._sender, method, body)
        except RemoteError as error:
            self._put_or_abort(_error_frame(request, error))
            return
        if answer is None:
            self._start(request, self._answer_call(request, method, body))
        else:
            self._running[request] = answer
            answer.add_done_callback(partial(self._answered, request, method))

    def _answered(self, request: int, method: str, answer: asyncio.Future[bytes]) -> None:
        self._running.pop(request, None)
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            frame = encode_frame(Kind.REPLY, request, answer.result())
        elif isinstance(error, Exception):
            frame = _error_frame(request, as_remote_error(error, method, self._sender))
        else:
            raise error
        self._put_or_abort(frame)

    def _put_or_abort(self, frame: bytes) -> None:
        if self._outbox is not None and not self._outbox.put(frame):
            # It asks without reading answers: the connection is useless to both.
            self.abort()

    def _start(self, request: int, work: Coroutine[Any, Any, None]) -> None:
        task = self._running[request] = self._scope.spawn(work)
        task.add_done_callback(lambda _: self._ended(request))

    def _ended(self, request: int) -> None:
        self._running.pop(request, None)
        self._windows.pop(request, None)

    async def _answer_call(self, request: int, method: str, body: bytes) -> None:
        try:
            reply = await self._handlers.run_call(self._sender, method, body)
            frame = encode_frame(Kind.REPLY, request, reply)
        except (RemoteError, FrameTooLarge) as error:
            frame = _error_frame(request, error)
        await self._send(frame)

    async def _answer_stream(self, request: int, method: str, body: bytes, window: Window) -> None:
        try:
            async with aclosing(self._handlers.run_stream(self._sender, method, body)) as items:
                async for item in items:
                    await window.take(len(item) + ITEM_COST_BYTES)
                    await self._send(encode_frame(Kind.ITEM, request, item))
            frame = encode_frame(Kind.END, request)
        except (RemoteError, FrameTooLarge) as error:
            frame = _error_frame(request, error)
        await self._send(frame)

    async def _send(self, frame: bytes) -> None:
        """Returns once the frame is on its way, or the connection is lost."""
        while self._outbox is not None:
            await self._outbox.writable()
            if self._outbox is None or self._outbox.put(frame):
                return
            # Full, and not yet told so by the transport: the flush at the end of this turn makes room.
            await asyncio.sleep(0)


def _error_frame(request: int, error: RemoteError | FrameTooLarge) -> bytes:
    code = error.code if isinstance(error, RemoteError) else type(error).__name__
    return encode_frame(Kind.ERROR, request, code, str(error))
