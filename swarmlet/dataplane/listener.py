"""One published port of the proxy: accepts clients and joins each to an endpoint.

Rules:
- A client is not read before an endpoint is connected, so attempts can be repeated without losing a byte.
- Endpoints are tried one after the other, each at most `ATTEMPT_TIMEOUT_S`. When none is left, or there are none, a
  change of the table is waited for; after `CONNECT_TIMEOUT_S` in all the client is reset.
- At most `CONNECTIONS_MAX` clients; one more is reset at once.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from swarmlet.dataplane.balancer import Balancer, EndpointLoad
from swarmlet.dataplane.pipe import Pipe, reset
from swarmlet.dataplane.relay import encode_header
from swarmlet.dataplane.routes import Route
from swarmlet.dataplane.sockets import connect_local, tune_traffic_socket
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.transport.tasks import TaskScope

CONNECT_TIMEOUT_S = 10.0
"""As long as clients' own patience: on a host that is busy for a moment, a late connection is better than none."""
ATTEMPT_TIMEOUT_S = 3.0
"""A task that is gone refuses at once; one that is slow is only slowed further by giving up and trying again."""
RETRY_INTERVAL_S = 0.2
"""After every endpoint failed: before they are tried again, unless the table changes first."""
CONNECTIONS_MAX = 10_000

OpenRelay = Callable[[NodeId, bytes, Callable[[], asyncio.Protocol], float], Awaitable[object]]
"""(node, header, protocol factory, timeout in seconds): `PeerNetwork.open_relay`."""


@dataclass(slots=True)
class ProxyCounters:
    accepted: int = 0
    connected: int = 0
    """Joined to an endpoint."""
    failed: int = 0
    """Reset because no endpoint could be connected in time."""
    over_limit: int = 0
    attempts_failed: int = 0
    active: int = 0


class ProxyListener:
    def __init__(
        self, route: Route, first_turn: int, open_relay: OpenRelay, scope: TaskScope, counters: ProxyCounters
    ) -> None:
        self._open_relay = open_relay
        self._scope = scope
        self._counters = counters
        self._balancer = Balancer(first_turn)
        self._changed = asyncio.Event()
        self._clients: set[Pipe] = set()
        self._upstreams: dict[Pipe, EndpointLoad] = {}
        self._server: asyncio.Server | None = None
        self.route = route
        self.update(route)

    @property
    def active(self) -> int:
        return len(self._clients)

    async def listen(self, listener: socket.socket) -> None:
        # Accepted sockets inherit the listener's options; so each is set once here instead of once per connection.
        tune_traffic_socket(listener)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=listener, backlog=1024)

    def update(self, route: Route) -> None:
        self.route = route
        self._balancer.update(route.endpoints)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def stop_accepting(self) -> None:
        """Connections in flight go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def abort(self) -> None:
        self.stop_accepting()
        for pipe in [*self._clients, *self._upstreams]:
            if pipe.transport is not None:
                reset(pipe.transport)

    def _accept(self) -> Pipe:
        return ClientPipe(self._begin, self._end)

    def _begin(self, client: Pipe) -> None:
        if len(self._clients) >= CONNECTIONS_MAX:
            self._counters.over_limit += 1
            assert client.transport is not None
            reset(client.transport)
            return
        self._counters.accepted += 1
        self._counters.active += 1
        self._clients.add(client)
        self._scope.spawn(self._serve(client))

    def _end(self, client: Pipe) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._counters.active -= 1

    async def _serve(self, client: Pipe) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._connect_somewhere(client)
        except TimeoutError:
            self._counters.failed += 1
            if client.transport is not None:
                reset(client.transport)

    async def _connect_somewhere(self, client: Pipe) -> None:
        loop = asyncio.get_running_loop()
        tried: set[EndpointLoad] = set()
        while client.transport is not None:
            chosen = self._balancer.choose(loop.time(), tried)
            if chosen is None:
                await self._wait_for_change()
                tried.clear()
            elif await self._connect(client, chosen):
                self._counters.connected += 1
                return
            else:
                tried.add(chosen)
                self._counters.attempts_failed += 1
                self._balancer.penalize(chosen, loop.time())

    async def _wait_for_change(self) -> None:
        try:
            async with asyncio.timeout(RETRY_INTERVAL_S):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _connect(self, client: Pipe, load: EndpointLoad) -> bool:
        """False: this endpoint could not be connected, and nothing of the client's bytes was touched."""
        endpoint = load.endpoint
        upstream = Pipe(self._upstream_lost, waits_for=client)
        self._upstreams[upstream] = load
        # Counted from the attempt on: many clients at once must not all choose the same endpoint.
        load.active += 1
        try:
            if endpoint.local_address is not None:
                await connect_local(endpoint.local_address, upstream, ATTEMPT_TIMEOUT_S)
            else:
                header = encode_header(endpoint.task, endpoint.target_port)
                await self._open_relay(endpoint.node, header, lambda: upstream, ATTEMPT_TIMEOUT_S)
        except (OSError, SwarmletError):
            self._upstream_lost(upstream)
            return False
        except BaseException:
            self._upstream_lost(upstream)
            raise
        return True

    def _upstream_lost(self, upstream: Pipe) -> None:
        load = self._upstreams.pop(upstream, None)
        if load is not None:
            load.active -= 1


class ClientPipe(Pipe):
    """A client's side: tells its listener when it is connected."""

    __slots__ = ("_on_made",)

    def __init__(self, on_made: Callable[[Pipe], None], on_lost: Callable[[Pipe], None]) -> None:
        super().__init__(on_lost)
        self._on_made = on_made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._on_made(self)
