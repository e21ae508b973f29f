"""Opens one authenticated connection to a peer."""

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import TypeVar

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.security.peer_tls import PeerCredentials, UnknownPeer, peer_node_id
from swarmlet.transport.errors import ForeignPeer, PeerRefused, PeerUnavailable, Target
from swarmlet.transport.sockets import borrowed, limit_unacknowledged, tune_peer_socket

CONNECT_TIMEOUT_S = 2.0
SHUTDOWN_TIMEOUT_S = 1.0
"""How long a closed connection may wait for the peer's own goodbye."""

ProtocolT = TypeVar("ProtocolT", bound=asyncio.Protocol)


async def dial(
    target: Target,
    address: Address,
    credentials: PeerCredentials,
    factory: Callable[[], ProtocolT],
    *,
    is_rpc: bool,
) -> tuple[NodeId, ProtocolT]:
    """Who answered at `address` and the connected protocol. Raises `PeerUnavailable` within `CONNECT_TIMEOUT_S`."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            transport, protocol = await _connect(address, credentials, factory, is_rpc=is_rpc)
    except TimeoutError as error:
        raise PeerUnavailable(target, f"no connection to {address} within {CONNECT_TIMEOUT_S:g} s") from error
    except ssl.SSLCertVerificationError as error:
        raise ForeignPeer(target, address) from error
    except ConnectionRefusedError as error:
        raise PeerRefused(target, f"{address}: {_words(error)}") from error
    except (OSError, SwarmletError) as error:
        raise PeerUnavailable(target, f"{address}: {_words(error)}") from error
    try:
        found = peer_node_id(transport.get_extra_info("ssl_object"))
    except UnknownPeer as error:
        transport.abort()
        raise PeerUnavailable(target, f"{address}: {error}") from error
    if not isinstance(target, Address) and found != target:
        transport.abort()
        raise PeerUnavailable(target, f"{address} belongs to node {found} now")
    return found, protocol


async def _connect(
    address: Address, credentials: PeerCredentials, factory: Callable[[], ProtocolT], *, is_rpc: bool
) -> tuple[asyncio.Transport, ProtocolT]:
    # The loop makes the socket itself. One of ours that is handed over while the dial is called off is closed by both,
    # uvloop and us; in between its number may be another's, and libuv aborts at a descriptor that is closed under it.
    transport, protocol = await asyncio.get_running_loop().create_connection(
        factory,
        address.host,
        address.port,
        ssl=credentials.client_context,
        server_hostname=address.host,
        ssl_handshake_timeout=CONNECT_TIMEOUT_S,
        ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
    )
    connected = transport.get_extra_info("socket")
    with borrowed(connected) as connection:
        tune_peer_socket(connection)
    if is_rpc:
        limit_unacknowledged(connected)
    return transport, protocol


def _words(error: Exception) -> str:
    """The system's own words where it has some; TLS errors use `errno` for something else."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
