"""TCP connections of the data plane to tasks on this node."""

import asyncio
import errno
import os
import socket

from swarmlet.dataplane.pipe import Pipe
from swarmlet.model.observed import Address

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
    """Raises `OSError`, also when the time is up."""
    loop = asyncio.get_running_loop()
    dialled = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        dialled.setblocking(False)
        tune_traffic_socket(dialled)
        async with asyncio.timeout(timeout_s):
            await loop.sock_connect(dialled, address)
            await loop.create_connection(lambda: pipe, sock=dialled)
    except TimeoutError as error:
        dialled.close()
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from error
    except BaseException:
        dialled.close()
        raise
