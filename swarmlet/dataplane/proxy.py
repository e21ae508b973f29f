"""The userspace proxy: every published port of the cluster listens on this node.

Rules:
- `update` makes the listeners what the table says. It ends no connection: an endpoint or a port that leaves gets no
  new ones, what is in flight drains.
- A port that can't be bound is a problem with the system's own words, logged once per change of words, and tried
  again with every update and every `RETRY_INTERVAL_S`.
- Routes are compared with the listeners as a whole on each update, so nothing stale can linger.
"""

import asyncio
import zlib
from dataclasses import dataclass

import structlog

from swarmlet.dataplane.listener import OpenRelay, ProxyCounters, ProxyListener
from swarmlet.dataplane.routes import PortConflict, PublishedAddress, RouteTable
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.transport.errors import CannotListen
from swarmlet.transport.sockets import open_listener
from swarmlet.transport.tasks import TaskScope

RETRY_INTERVAL_S = 1.0
LISTENERS_MAX = 4096
"""Each is a descriptor; more published ports than this are reported and not opened."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PortProblem:
    """A published port that does not listen on this node."""

    published: PublishedAddress
    reason: str
    """In the system's own words."""

    def __str__(self) -> str:
        return f"published port {self.published}: {self.reason}"


class Proxy:
    """Make it inside a running event loop; `close` it when done."""

    def __init__(self, local: NodeId, listen_host: str, open_relay: OpenRelay) -> None:
        self._listen_host = listen_host
        self._open_relay = open_relay
        self._first_turn = zlib.crc32(local.encode())
        self._scope = TaskScope("proxy")
        self._table = RouteTable()
        self._listeners: dict[PublishedAddress, ProxyListener] = {}
        self._draining: list[ProxyListener] = []
        """Closed to new clients, with connections in flight."""
        self._problems: dict[PublishedAddress, str] = {}
        self._updating = asyncio.Lock()
        self._retrying: asyncio.Task[None] | None = None
        self._closed = False
        self.counters = ProxyCounters()

    async def update(self, table: RouteTable) -> None:
        async with self._updating:
            if self._closed:
                return
            self._table = table
            await self._apply()

    def problems(self) -> tuple[PortProblem | PortConflict, ...]:
        """Published ports that can't be had here, or not by the service that wants them; each says itself why."""
        unbound = (PortProblem(published, reason) for published, reason in sorted(self._problems.items()))
        return (*unbound, *self._table.conflicts)

    def active(self, published: PublishedAddress) -> int:
        """Clients connected to a port now."""
        listener = self._listeners.get(published)
        return listener.active if listener else 0

    async def close(self) -> None:
        """Resets what is in flight."""
        self._closed = True
        await self._scope.close()
        async with self._updating:
            for listener in [*self._listeners.values(), *self._draining]:
                listener.abort()
            self._listeners.clear()
            self._draining.clear()
        # Aborted transports tell their ends in the next turns of the loop.
        for _ in range(3):
            await asyncio.sleep(0)

    async def _apply(self) -> None:
        wanted = self._table.routes
        self._draining = [listener for listener in self._draining if listener.active]
        for published in self._listeners.keys() - wanted.keys():
            listener = self._listeners.pop(published)
            listener.stop_accepting()
            self._draining.append(listener)
        for published in self._problems.keys() - wanted.keys():
            del self._problems[published]
        for published, route in wanted.items():
            known = self._listeners.get(published)
            if known is None:
                await self._open(published)
            elif known.route != route:
                known.update(route)
        if self._problems and self._retrying is None:
            self._retrying = self._scope.spawn(self._retry())

    async def _open(self, published: PublishedAddress) -> None:
        listener = ProxyListener(
            self._table.routes[published], self._first_turn, self._open_relay, self._scope, self.counters
        )
        address = Address(published.host_address or self._listen_host, published.port)
        if len(self._listeners) >= LISTENERS_MAX:
            self._report(published, f"{LISTENERS_MAX} published ports listen already")
            return
        try:
            opened = open_listener(address)
        except CannotListen as error:
            self._report(published, str(error))
            return
        await listener.listen(opened)
        self._listeners[published] = listener
        if self._problems.pop(published, None) is not None:
            log.info("published_port_recovered", port=str(published))

    def _report(self, published: PublishedAddress, problem: str) -> None:
        if self._problems.get(published) != problem:
            log.warning("published_port_not_listening", port=str(published), problem=problem)
        self._problems[published] = problem

    async def _retry(self) -> None:
        while self._problems:
            await asyncio.sleep(RETRY_INTERVAL_S)
            async with self._updating:
                for published in list(self._problems):
                    await self._open(published)
        self._retrying = None
