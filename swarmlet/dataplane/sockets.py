"""TCP connections of the data plane to tasks on this node."""

import asyncio
import errno
import os
import socket

from swarmlet.dataplane.pipe import Pipe
from swarmlet.model.observed import Address
from swarmlet.transport.sockets import borrowed

KEEPALIVE_IDLE_S = 60
"""Connections may be silent for ever; after this long the kernel asks whether the other end still exists."""
KEEPALIVE_INTERVAL_S = 10
KEEPALIVE_PROBES = 3


def tune_traffic_socket(connected: socket.socket) -> None:
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


async def connect_local(address: Address, pipe: Pipe, timeout_s: float) -> None:
    """Raises `OSError`, also when the time is up.

    The loop makes the socket itself: one of ours, whose connection is called off and which we close under it, can make
    libuv abort the process when the descriptor's number is taken again at once (libuv/libuv#5130).
    """
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: pipe, address.host, address.port)
    except TimeoutError as error:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from error
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.fileno() >= 0:
        with borrowed(connected) as connection:
            tune_traffic_socket(connection)
