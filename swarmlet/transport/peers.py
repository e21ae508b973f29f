"""The network of agents as one agent sees it: ask any peer by its node id, answer any peer.

Rules:
- One TCP port, TLS in both directions of trust (`security.peer_tls`); a peer is the node its certificate names.
- Each agent dials its own rpc connection to a peer and answers on those that peers dialled: two agents never have
  to agree on whose connection to keep.
- `notify` never blocks and may drop; `call`, `stream` and `open_relay` fail within a stated time. One slow or absent
  peer has its own link, queue and back-off, and holds up nobody else.
- What an agent asks of itself goes straight to its handlers, with the same errors.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass
from random import SystemRandom
from typing import Self

import structlog

from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.security.keys import KeyId
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.transport.dial import dial
from swarmlet.transport.errors import ForeignPeer, FrameTooLarge, PeerRefused, PeerTimeout, PeerUnavailable, Target
from swarmlet.transport.frames import Kind, encode_frame
from swarmlet.transport.handlers import CallHandler, Handlers, NotifyHandler, PromptHandler, RelayHandler, StreamHandler
from swarmlet.transport.inbound import InboundConnection
from swarmlet.transport.link import PeerLink
from swarmlet.transport.listener import LOG_INTERVAL_S, ListenerCounters, PeerListener
from swarmlet.transport.relay_client import ProtocolFactory, RelayClient, RelayCounters, RelayPool
from swarmlet.transport.sockets import open_listener
from swarmlet.transport.tasks import TaskScope

LINKS_MAX = 4096
"""Peers and addresses that this agent talks to; over it, the longest unused idle link is dropped."""
LINK_IDLE_S = 60.0
"""A link unused for so long is closed: a peer that left, or an address that was only needed to join."""
HOUSEKEEPING_INTERVAL_S = 5.0
FOREIGN_SHOWN_S = 30.0
"""Longer than a node waits between two attempts to join."""
CLOSE_TURNS_MAX = 100
"""Turns of the event loop that `close` gives aborted connections to tell their owners."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PeerCounters:
    notifies_sent: int
    notifies_dropped: int
    dials_failed: int
    dials_foreign: int
    """Of those that failed: the other side's certificate has a key that is not of our ring."""
    notifies_failed: int
    """That peers sent and a handler here did not take."""
    violations: int
    """Connections that peers made and that were closed since they broke the protocol."""
    links: int
    connected: int
    inbound: ListenerCounters
    relays: RelayCounters


class PeerNetwork:
    def __init__(
        self,
        node_id: NodeId,
        credentials: PeerCredentials,
        listen: Address,
        resolve: Callable[[NodeId], Address | None],
    ) -> None:
        self.node_id = node_id
        self._credentials = credentials
        self._listen = listen
        self._resolve = resolve
        self._rng = SystemRandom()
        self._handlers = Handlers()
        self._scope = TaskScope("peers")
        self._links: dict[Target, PeerLink] = {}
        self._relays = RelayPool(self._dial_relay)
        self._listener: PeerListener | None = None
        self._on_refused: Callable[[NodeId], None] | None = None
        self._closed = False
        self._notifies_sent = 0
        self._notifies_dropped = 0
        self._dials_failed = 0
        self._foreign_found = 0
        self._foreign: tuple[float, ForeignPeer] | None = None
        self._foreign_logged_at = -LOG_INTERVAL_S

    # Life.

    async def start(self) -> None:
        """Raises `CannotListen`. Handlers should be registered before: peers may call at once."""
        assert self._listener is None, "started twice"
        self._listener = PeerListener(open_listener(self._listen), self._credentials, self._make_inbound)
        self._scope.spawn(self._listener.accept_forever(self._scope))
        self._scope.spawn(self._keep_house())

    async def close(self) -> None:
        self._closed = True
        await self._scope.close()
        if self._listener is not None:
            self._listener.close()
        for link in self._links.values():
            link.close()
        self._relays.close()
        for _ in range(CLOSE_TURNS_MAX):
            await asyncio.sleep(0)
            if not self._has_connections():
                break

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def address(self) -> Address:
        """Where it really listens."""
        assert self._listener is not None, "not started"
        return self._listener.address

    @property
    def counters(self) -> PeerCounters:
        assert self._listener is not None, "not started"
        return PeerCounters(
            notifies_sent=self._notifies_sent,
            notifies_dropped=self._notifies_dropped,
            dials_failed=self._dials_failed + sum(link.dials_failed for link in self._links.values()),
            dials_foreign=self._foreign_found,
            notifies_failed=self._handlers.notifies_failed,
            violations=self._handlers.violations,
            links=len(self._links),
            connected=sum(link.is_connected for link in self._links.values()),
            inbound=self._listener.counters,
            relays=self._relays.counters,
        )

    # Answering.

    def on_notify(self, method: str, handler: NotifyHandler) -> None:
        self._handlers.notify[method] = handler

    def on_call(self, method: str, handler: CallHandler) -> None:
        self._handlers.call[method] = handler

    def on_prompt_call(self, method: str, handler: PromptHandler) -> None:
        self._handlers.call[method] = self._handlers.prompt[method] = handler

    def on_stream(self, method: str, handler: StreamHandler) -> None:
        self._handlers.stream[method] = handler

    def on_relay(self, handler: RelayHandler) -> None:
        self._handlers.relay = handler

    def on_refused(self, handler: Callable[[NodeId], None]) -> None:
        """Called with a peer whose host answered that nobody listens there (any more). Must not block."""
        self._on_refused = handler

    # Asking.

    def notify(self, target: NodeId, method: str, body: bytes) -> bool:
        """Send and forget. False: certainly not delivered (no address, full queue, waiting after a failed dial)."""
        taken = self._notify(target, method, body)
        if taken:
            self._notifies_sent += 1
        else:
            self._notifies_dropped += 1
        return taken

    async def call(self, target: Target, method: str, body: bytes, timeout_s: float) -> bytes:
        """Raises `PeerUnavailable`, `PeerTimeout`, `RemoteError` or `FrameTooLarge`."""
        try:
            async with asyncio.timeout(timeout_s):
                if target == self.node_id:
                    return await self._handlers.run_call(self.node_id, method, body)
                client = await self._link(target).connected()
                return await client.call(method, body)
        except TimeoutError as error:
            raise PeerTimeout(target, method, timeout_s) from error

    async def begin_call(self, target: NodeId, method: str, body: bytes) -> asyncio.Future[bytes]:
        """As `call`, without a deadline of its own: returns once it is sent. Cancelling the future ends it there."""
        return (await self._link(target).connected()).begin_call(method, body)

    def begin_connected_call(self, target: NodeId, method: str, body: bytes) -> asyncio.Future[bytes] | None:
        """As `begin_call`, at once; None where there is no connection yet."""
        link = self._links.get(target)
        client = None if link is None or self._closed else link.client()
        return None if client is None else client.begin_call(method, body)

    async def stream(self, target: Target, method: str, body: bytes) -> AsyncGenerator[bytes, None]:
        """Items as the peer sends them, however long it takes; `aclose()` ends its handler too.

        Raises what `call` raises, but `PeerTimeout`: a lost connection ends it, silence does not.
        """
        if target == self.node_id:
            source = self._handlers.run_stream(self.node_id, method, body)
        else:
            source = (await self._link(target).connected()).stream(method, body)
        async with aclosing(source) as items:
            async for item in items:
                yield item

    async def open_relay(
        self, target: NodeId, header: bytes, protocol_factory: ProtocolFactory, timeout_s: float
    ) -> asyncio.Transport:
        """Raw bytes to and from what the peer's relay handler connects; half-close works.

        Raises `RemoteError` when the peer refused, `PeerUnavailable` or `PeerTimeout`. On any of them the protocol
        was not used.
        """
        self._check_open(target)
        address = self.address if target == self.node_id else self._resolve(target)
        if address is None:
            raise PeerUnavailable(target, "its address is not known")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._relays.open(target, address, header, protocol_factory)
        except TimeoutError as error:
            raise PeerTimeout(target, "a relay", timeout_s) from error

    def foreign_peer(self) -> ForeignPeer | None:
        """Where a dial found an agent with another cluster key, if that was not long ago."""
        found_at, error = self._foreign or (-FOREIGN_SHOWN_S, None)
        return error if asyncio.get_running_loop().time() - found_at < FOREIGN_SHOWN_S else None

    def drop_unvouched(self, keys: Collection[KeyId]) -> int:
        """End every connection whose peer another key than these vouched for; how many. Relays on them are cut."""
        assert self._listener is not None, "not started"
        links = sum(link.drop_unless_vouched(keys) for link in self._links.values())
        return links + self._relays.drop_unvouched(keys) + self._listener.drop_unvouched(keys)

    # Inside.

    def _notify(self, target: NodeId, method: str, body: bytes) -> bool:
        if self._closed:
            return False
        if target == self.node_id:
            asyncio.get_running_loop().call_soon(self._handlers.run_notify, self.node_id, method, body)
            return True
        try:
            return self._link(target).notify(encode_frame(Kind.NOTIFY, method, body))
        except (FrameTooLarge, PeerUnavailable):
            return False

    def _check_open(self, target: Target) -> None:
        if self._closed or self._listener is None:
            raise PeerUnavailable(target, "this agent is stopping")

    def _link(self, target: Target) -> PeerLink:
        link = self._links.get(target)
        if link is not None and not self._closed:
            return link
        self._check_open(target)
        if len(self._links) >= LINKS_MAX:
            self._drop_unused_link(target)
        link = PeerLink(
            target,
            lambda: self._address_of(target),
            self._credentials,
            self._scope,
            self._rng,
            lambda error: self._on_dial_failed(target, error),
        )
        self._links[target] = link
        return link

    def _on_dial_failed(self, target: Target, error: PeerUnavailable) -> None:
        match error:
            case PeerRefused() if self._on_refused is not None and not isinstance(target, Address):
                self._on_refused(target)
            case ForeignPeer():
                self._note_foreign(error)

    def _note_foreign(self, error: ForeignPeer) -> None:
        self._foreign_found += 1
        now = asyncio.get_running_loop().time()
        self._foreign = now, error
        if now - self._foreign_logged_at >= LOG_INTERVAL_S:
            log.warning("foreign_peer", problem=str(error))
            self._foreign_logged_at = now

    def _address_of(self, target: Target) -> Address | None:
        return target if isinstance(target, Address) else self._resolve(target)

    def _drop_unused_link(self, wanted: Target) -> None:
        unused = [(link.used_at, target) for target, link in self._links.items() if not link.is_busy]
        if not unused:
            raise PeerUnavailable(wanted, f"{LINKS_MAX} links are in use already")
        self._drop_link(min(unused, key=lambda entry: entry[0])[1])

    def _drop_link(self, target: Target) -> None:
        link = self._links.pop(target)
        self._dials_failed += link.dials_failed
        link.close()

    def _make_inbound(self) -> InboundConnection:
        assert self._listener is not None
        return InboundConnection(self._handlers, self._scope, self._on_inbound_peer, self._listener.forget)

    def _on_inbound_peer(self, sender: NodeId) -> None:
        link = self._links.get(sender)
        if link is not None:
            link.encourage()

    async def _dial_relay(self, client: RelayClient) -> None:
        await dial(client.target, client.address, self._credentials, lambda: client, is_rpc=False)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_INTERVAL_S)
            now = asyncio.get_running_loop().time()
            self._relays.expire(now)
            for target, link in list(self._links.items()):
                if not link.is_busy and now - link.used_at > LINK_IDLE_S:
                    self._drop_link(target)

    def _has_connections(self) -> bool:
        connected = any(link.is_connected for link in self._links.values())
        return connected or bool(len(self._relays)) or bool(self._listener and self._listener.connections)
