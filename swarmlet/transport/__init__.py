"""How agents reach each other: sealed datagrams, and mutually authenticated streams on one port."""

from swarmlet.transport.datagrams import DatagramEndpoint
from swarmlet.transport.errors import CannotListen, FrameTooLarge, PeerTimeout, PeerUnavailable, RemoteError
from swarmlet.transport.knock import takes_connections
from swarmlet.transport.peers import PeerNetwork

__all__ = [
    "CannotListen",
    "DatagramEndpoint",
    "FrameTooLarge",
    "PeerNetwork",
    "PeerTimeout",
    "PeerUnavailable",
    "RemoteError",
    "takes_connections",
]
