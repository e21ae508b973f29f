"""The asking side of relays: a TLS connection per relayed connection, kept for the next one where possible.

Rules:
- A relay begins with a hello that carries its header; nothing else is sent before the peer has accepted it, so a
  refused or lost attempt can be made again elsewhere without losing a byte.
- A connection whose relay ended cleanly (or was refused) waits for the next one: at most `IDLE_PER_PEER_MAX` per
  peer, for `IDLE_S`. One that turns out to be dead is replaced by a fresh one, once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import cast

from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.security.keys import KeyId
from swarmlet.security.peer_tls import vouching_key
from swarmlet.transport.errors import PeerUnavailable, ProtocolViolation, RemoteError
from swarmlet.transport.frames import HELLO_SIZE_BYTES_MAX, PROTOCOL_VERSION, FrameDecoder, decode_message, encode_frame
from swarmlet.transport.relay_stream import RelayStream

IDLE_PER_PEER_MAX = 16
IDLE_S = 30.0

ProtocolFactory = Callable[[], asyncio.Protocol]


class RelayClient(asyncio.Protocol):
    """One dialled connection; carries one relay at a time."""

    def __init__(self, target: NodeId, address: Address) -> None:
        self.target = target
        self.address = address
        self.idle_since = 0.0
        self.on_idle: Callable[[RelayClient], None] | None = None
        self.on_lost: Callable[[RelayClient], None] | None = None
        self._decoder = FrameDecoder(HELLO_SIZE_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._stream: RelayStream | None = None
        self._answer: asyncio.Future[asyncio.Transport] | None = None
        self._factory: ProtocolFactory | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def vouched_by(self) -> KeyId | None:
        """The cluster key behind the peer's certificate; None once the connection is lost."""
        return None if self._transport is None else vouching_key(self._transport.get_extra_info("ssl_object"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the class.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        stream, self._stream = self._stream, None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(PeerUnavailable(self.target, f"connection lost: {exc or 'closed'}"))
        if stream is not None:
            stream.lost(exc)
        if self.on_lost is not None:
            self.on_lost(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def open(self, header: bytes, factory: ProtocolFactory) -> asyncio.Transport:
        """The relay's transport once the peer accepted. Raises `RemoteError` when it refused, `PeerUnavailable`."""
        if self._transport is None:
            raise PeerUnavailable(self.target, "connection closed")
        self._factory = factory
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(encode_frame("relay", PROTOCOL_VERSION, header))
        try:
            return await self._answer
        except asyncio.CancelledError:
            # The peer may accept at any moment now; a relay that nobody holds must not stay.
            self.abort()
            raise
        finally:
            self._answer = self._factory = None

    def data_received(self, data: bytes) -> None:
        try:
            while data:
                data = self._take(data)
        except ProtocolViolation:
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
            if rest:
                raise ProtocolViolation("bytes after the end of a relay")
            return rest
        if self._answer is None:
            raise ProtocolViolation("bytes on an idle connection")
        payload, rest = self._decoder.feed_one(data)
        if payload is not None:
            self._on_answer(payload)
        return rest

    def _on_answer(self, payload: bytes) -> None:
        assert self._transport is not None
        answer, factory = self._answer, self._factory
        if answer is None or answer.done() or factory is None:
            self.abort()
            return
        match decode_message(payload):
            case ("accepted",):
                # In this very callback: the relay's first bytes may follow in the same segment.
                self._stream = RelayStream(self._transport, factory(), self._finished)
                self._stream.begin()
                answer.set_result(self._stream)
            case ("refused", str(code), str(message)):
                answer.set_exception(RemoteError(code, message))
                self._finished()
            case _:
                raise ProtocolViolation("a relay was answered by something else")

    def _finished(self) -> None:
        self._stream = None
        if self.on_idle is not None:
            self.on_idle(self)


@dataclass(slots=True)
class RelayCounters:
    opened: int = 0
    reused: int = 0
    """Of `opened`: without a new connection."""
    refused: int = 0


class RelayPool:
    """All relay connections of this agent to its peers, in use or idle."""

    def __init__(self, dial: Callable[[RelayClient], Awaitable[None]]) -> None:
        self._dial = dial
        self._all: set[RelayClient] = set()
        self._idle: dict[NodeId, list[RelayClient]] = {}
        self.counters = RelayCounters()

    async def open(
        self, target: NodeId, address: Address, header: bytes, factory: ProtocolFactory
    ) -> asyncio.Transport:
        """Has no deadline of its own: the caller cancels it."""
        while (idle := self._take_idle(target, address)) is not None:
            try:
                return self._opened(await self._ask(idle, header, factory), reused=True)
            except PeerUnavailable:
                # It had died unnoticed; so may have the others that idle.
                continue
        fresh = RelayClient(target, address)
        fresh.on_idle, fresh.on_lost = self._keep, self._forget
        self._all.add(fresh)
        try:
            await self._dial(fresh)
        except BaseException:
            fresh.abort()
            self._all.discard(fresh)
            raise
        return self._opened(await self._ask(fresh, header, factory), reused=False)

    def expire(self, now: float) -> None:
        """Called now and then by the owner."""
        for target, clients in list(self._idle.items()):
            for client in [c for c in clients if now - c.idle_since > IDLE_S]:
                clients.remove(client)
                client.abort()
            if not clients:
                del self._idle[target]

    def drop_unvouched(self, keys: Collection[KeyId]) -> int:
        """End the connections to peers that another key vouched for, with what they relay; how many."""
        dropped = [client for client in self._all if client.vouched_by not in keys and client.is_open]
        for client in dropped:
            client.abort()
        return len(dropped)

    def close(self) -> None:
        self._idle.clear()
        for client in list(self._all):
            client.on_idle = None
            client.abort()

    def __len__(self) -> int:
        return len(self._all)

    async def _ask(self, client: RelayClient, header: bytes, factory: ProtocolFactory) -> asyncio.Transport:
        try:
            return await client.open(header, factory)
        except RemoteError:
            self.counters.refused += 1
            raise

    def _opened(self, transport: asyncio.Transport, *, reused: bool) -> asyncio.Transport:
        self.counters.opened += 1
        self.counters.reused += reused
        return transport

    def _take_idle(self, target: NodeId, address: Address) -> RelayClient | None:
        clients = self._idle.get(target, [])
        while clients:
            client = clients.pop()
            if client.is_open and client.address == address:
                return client
            client.abort()
        return None

    def _keep(self, client: RelayClient) -> None:
        clients = self._idle.setdefault(client.target, [])
        if len(clients) >= IDLE_PER_PEER_MAX or not client.is_open:
            client.abort()
            return
        client.idle_since = asyncio.get_running_loop().time()
        clients.append(client)

    def _forget(self, client: RelayClient) -> None:
        self._all.discard(client)
        clients = self._idle.get(client.target)
        if clients and client in clients:
            clients.remove(client)
