"""The one TCP port for peers: accepts, authenticates, and keeps strangers from costing anything.

Rules:
- A connection counts only after the mutual TLS handshake, which must end within `HANDSHAKE_TIMEOUT_S`.
- At most `HANDSHAKES_PER_HOST_MAX` handshakes of one address and `HANDSHAKES_MAX` in all are under way; more are
  closed at once, so that a stranger who opens connections and says nothing keeps no peer out.
- Strangers are counted; the log gets one line per `LOG_INTERVAL_S` at most.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import structlog

from swarmlet.model.observed import Address
from swarmlet.security.keys import KeyId
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.transport.dial import SHUTDOWN_TIMEOUT_S
from swarmlet.transport.inbound import InboundConnection
from swarmlet.transport.sockets import tune_peer_socket
from swarmlet.transport.tasks import TaskScope

HANDSHAKE_TIMEOUT_S = 2.0
SHORTEST_TIMEOUT_S = 0.01
"""Of a handshake whose first byte came at the last moment: the loop takes no time-out of nothing."""
HANDSHAKES_MAX = 256
HANDSHAKES_PER_HOST_MAX = 64
CONNECTIONS_MAX = 8192
"""Inbound, rpc and relays together; a peer above it is refused and tries again."""
ACCEPT_PAUSE_S = 0.1
"""After the system refused to accept (no descriptors left)."""
LOG_INTERVAL_S = 10.0

log = structlog.get_logger()


@dataclass(slots=True)
class ListenerCounters:
    accepted: int = 0
    strangers: int = 0
    """Connections that did not prove their membership."""
    knocks: int = 0
    """Connections that ended before a byte was said: a peer that looks whether this host takes any (see `knock`), or
    somebody's port scan."""
    over_limit: int = 0
    accept_failed: int = 0


class PeerListener:
    def __init__(
        self, listener: socket.socket, credentials: PeerCredentials, make_connection: Callable[[], InboundConnection]
    ) -> None:
        self._listener = listener
        self._credentials = credentials
        self._make_connection = make_connection
        self._handshakes: Counter[str] = Counter()
        self._logged_at = -LOG_INTERVAL_S
        self.connections: set[InboundConnection] = set()
        self.counters = ListenerCounters()

    @property
    def address(self) -> Address:
        host, port, *_ = self._listener.getsockname()
        return Address(host, port)

    async def accept_forever(self, scope: TaskScope) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, source = await loop.sock_accept(self._listener)
            except OSError as error:
                self.counters.accept_failed += 1
                self._log("peer_accept_failed", problem=error.strerror)
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            host = source[0]
            if self._is_full(host):
                self.counters.over_limit += 1
                accepted.close()
                continue
            self._handshakes[host] += 1
            scope.spawn(self._authenticate(accepted, host)).add_done_callback(partial(_close_if_cancelled, accepted))

    def close(self) -> None:
        self._listener.close()
        for connection in list(self.connections):
            connection.abort()

    def drop_unvouched(self, keys: Collection[KeyId]) -> int:
        """End the authenticated connections of peers that another key vouched for; how many."""
        dropped = [each for each in self.connections if each.is_authenticated and each.vouched_by not in keys]
        for connection in dropped:
            connection.abort()
        return len(dropped)

    def forget(self, connection: InboundConnection) -> None:
        self.connections.discard(connection)

    def _is_full(self, host: str) -> bool:
        return (
            self._handshakes[host] >= HANDSHAKES_PER_HOST_MAX
            or self._handshakes.total() >= HANDSHAKES_MAX
            or len(self.connections) >= CONNECTIONS_MAX
        )

    async def _authenticate(self, accepted: socket.socket, host: str) -> None:
        loop = asyncio.get_running_loop()
        connection = self._make_connection()
        self.connections.add(connection)
        try:
            tune_peer_socket(accepted)
            until = loop.time() + HANDSHAKE_TIMEOUT_S
            await _first_byte(accepted)
            await loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._credentials.server_context,
                ssl_handshake_timeout=max(until - loop.time(), SHORTEST_TIMEOUT_S),
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            )
        except _Knock:
            self.counters.knocks += 1
            self._drop(connection, accepted)
        except OSError as error:
            # Covers TLS errors, time-outs and plain disconnects: whoever it was did not become a peer.
            self.counters.strangers += 1
            self._drop(connection, accepted)
            self._log("stranger_refused", source=host, problem=str(error), strangers=self.counters.strangers)
        except BaseException:
            accepted.close()
            raise
        else:
            self.counters.accepted += 1
        finally:
            self._handshakes[host] -= 1
            if not self._handshakes[host]:
                del self._handshakes[host]

    def _drop(self, connection: InboundConnection, accepted: socket.socket) -> None:
        self.forget(connection)
        accepted.close()

    def _log(self, event: str, **fields: object) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= LOG_INTERVAL_S:
            self._logged_at = now
            log.warning(event, **fields)


class _Knock(OSError):
    """The other end closed the connection before it said a byte."""


async def _first_byte(accepted: socket.socket) -> None:
    """Until one has come; it is left there to be read. Raises `_Knock`, or `TimeoutError` when nothing comes."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(accepted, readable.set)
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            await readable.wait()
    finally:
        loop.remove_reader(accepted)
    if not accepted.recv(1, socket.MSG_PEEK):
        raise _Knock


def _close_if_cancelled(accepted: socket.socket, handshake: asyncio.Task[None]) -> None:
    """One that was cancelled before it began has closed nothing itself."""
    if handshake.cancelled():
        accepted.close()
