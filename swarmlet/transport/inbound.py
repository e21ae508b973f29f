"""An accepted and authenticated connection, from its hello on.

Rules: the hello must come within `HELLO_TIMEOUT_S`. An rpc connection is handed to `RpcServer` for good. A relay
connection serves one relay after the other; while its handler decides, nothing is read from it. Between two relays
it may idle for `IDLE_S`, longer than the asking side keeps it.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import structlog

from swarmlet.model.ids import NodeId
from swarmlet.security.keys import KeyId
from swarmlet.security.peer_tls import UnknownPeer, peer_node_id, vouching_key
from swarmlet.transport.errors import ProtocolViolation, RemoteError
from swarmlet.transport.frames import HELLO_SIZE_BYTES_MAX, PROTOCOL_VERSION, FrameDecoder, decode_message, encode_frame
from swarmlet.transport.handlers import Handlers, as_remote_error
from swarmlet.transport.relay_stream import RelayStream
from swarmlet.transport.rpc_server import RpcServer
from swarmlet.transport.sockets import limit_unacknowledged
from swarmlet.transport.tasks import TaskScope

HELLO_TIMEOUT_S = 2.0
IDLE_S = 45.0
RELAY_DECISION_TIMEOUT_S = 2.0

log = structlog.get_logger()


class InboundConnection(asyncio.Protocol):
    def __init__(
        self,
        handlers: Handlers,
        scope: TaskScope,
        on_peer: Callable[[NodeId], None],
        on_lost: Callable[["InboundConnection"], None],
    ) -> None:
        self._handlers = handlers
        self._scope = scope
        self._on_peer = on_peer
        self._on_lost = on_lost
        self._sender = NodeId("")
        self._decoder = FrameDecoder(HELLO_SIZE_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._stream: RelayStream | None = None
        self._deciding: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_authenticated(self) -> bool:
        """Its handshake is over, and it is not yet lost."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def vouched_by(self) -> KeyId | None:
        """The cluster key behind the peer's certificate; None once the connection is lost."""
        return None if self._transport is None else vouching_key(self._transport.get_extra_info("ssl_object"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the class.
        self._transport = cast(asyncio.Transport, transport)
        try:
            self._sender = peer_node_id(self._transport.get_extra_info("ssl_object"))
        except UnknownPeer:
            self.abort()
            return
        self._on_peer(self._sender)
        self._expect_hello(HELLO_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._stop_timer()
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.lost(exc)
        if self._deciding is not None:
            self._deciding.cancel()
        self._on_lost(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            while data:
                data = self._take(data)
        except ProtocolViolation as error:
            self._handlers.violations += 1
            log.warning("peer_protocol_violation", peer=self._sender, problem=str(error))
            self.abort()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        if self._stream is not None:
            self._stream.pause_writing()

    def resume_writing(self) -> None:
        if self._stream is not None:
            self._stream.resume_writing()

    def _take(self, data: bytes) -> bytes:
        if self._stream is not None:
            rest = self._stream.feed(data)
            if rest and self._stream is not None:
                raise ProtocolViolation("bytes after the end of a relay")
            return rest
        payload, rest = self._decoder.feed_one(data)
        if payload is None:
            return b""
        return self._on_hello(payload, rest)

    def _on_hello(self, payload: bytes, rest: bytes) -> bytes:
        self._stop_timer()
        match decode_message(payload):
            case ("rpc", 1):
                self._become_rpc(rest)
                return b""
            case ("relay", 1, bytes(header)) if not rest and self._deciding is None and self._transport is not None:
                self._transport.pause_reading()
                self._deciding = self._scope.spawn(self._decide(header))
                return b""
            case _:
                raise ProtocolViolation(f"a hello unknown to version {PROTOCOL_VERSION}")

    def _become_rpc(self, rest: bytes) -> None:
        transport = self._transport
        assert transport is not None
        limit_unacknowledged(transport.get_extra_info("socket"))
        server = RpcServer(self._sender, self._handlers, self._scope, lambda: self._on_lost(self))
        transport.set_protocol(server)
        server.connection_made(transport)
        if rest:
            server.data_received(rest)

    async def _decide(self, header: bytes) -> None:
        try:
            async with asyncio.timeout(RELAY_DECISION_TIMEOUT_S):
                protocol = await self._accept(header)
        except RemoteError as error:
            self._deciding = None
            self._refuse(error)
            return
        except TimeoutError:
            self._deciding = None
            self._refuse(RemoteError("RelayTimeout", f"not connected within {RELAY_DECISION_TIMEOUT_S:g} s"))
            return
        self._deciding = None
        if self._transport is None:
            # Lost in the very turn in which the handler was done: it must learn that nobody comes.
            protocol.connection_lost(ConnectionResetError("the relay was given up"))
            return
        self._transport.write(encode_frame("accepted"))
        self._stream = RelayStream(self._transport, protocol, self._finished)
        self._stream.begin()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def _accept(self, header: bytes) -> asyncio.Protocol:
        if self._handlers.relay is None:
            raise RemoteError("NoRelays", "this peer relays nothing")
        try:
            return await self._handlers.relay(self._sender, header)
        except TimeoutError:
            raise
        except Exception as error:
            raise as_remote_error(error, "relay", self._sender) from error

    def _refuse(self, error: RemoteError) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_frame("refused", error.code, str(error)))
            self._expect_hello(IDLE_S)
            self._transport.resume_reading()

    def _finished(self) -> None:
        self._stream = None
        self._expect_hello(IDLE_S)

    def _expect_hello(self, timeout_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
