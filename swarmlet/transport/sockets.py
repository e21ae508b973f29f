"""How the TCP sockets between agents are set up.

Rules (tcp(7)):
- TCP_NODELAY everywhere: frames are already gathered per turn of the event loop.
- Keepalive finds an idle connection whose other end vanished within 3 s.
- TCP_USER_TIMEOUT finds one with unacknowledged data within 3 s, on rpc connections only: it also ends a
  connection whose reader takes nothing for that long, which is a fault in rpc and legitimate in a relay.
"""

import os
import socket
import struct
from typing import Protocol

from swarmlet.model.observed import Address
from swarmlet.transport.errors import CannotListen

LOSS_NOTICED_S = 3
ACCEPT_BACKLOG = 1024


def open_listener(listen: Address, backlog: int = ACCEPT_BACKLOG) -> socket.socket:
    """Raises `CannotListen`."""
    listener = socket.socket(socket.AF_INET6 if ":" in listen.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(listen)
        listener.listen(backlog)
    except (OSError, OverflowError) as error:
        listener.close()
        raise CannotListen(listen, getattr(error, "strerror", None) or str(error)) from error
    return listener


def tune_peer_socket(connected: socket.socket) -> None:
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, LOSS_NOTICED_S - 1)


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


def limit_unacknowledged(connected: HasDescriptor) -> None:
    with borrowed(connected) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOSS_NOTICED_S * 1000)


def reset_on_close(connected: HasDescriptor) -> None:
    """Make the next close of this socket a reset, so that the other end sees a failure and not an end."""
    with borrowed(connected) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def borrowed(connected: HasDescriptor) -> socket.socket:
    """A socket object for the same connection: what a transport hands out need not have `setsockopt`."""
    return socket.socket(fileno=os.dup(connected.fileno()))
