"""Whether a peer's host takes a connection at all, whatever its agent does.

The kernel takes connections for a process that stands still; a host that is lost takes none. A lost packet would cost
TCP a second, so several connections are tried within the time there is; nothing is said on any of them.
"""

import asyncio
import socket

from swarmlet.model.observed import Address

KNOCKS = 4
"""One is enough: at 10 % loss, one living host in a thousand seems to take none."""


async def takes_connections(address: Address, within_s: float) -> bool:
    """Returns as soon as it is known. Raises `ConnectionRefusedError` where the host says that nobody listens."""
    knocks = [asyncio.ensure_future(_knock(address, number * within_s / KNOCKS)) for number in range(KNOCKS)]
    try:
        done, _ = await asyncio.wait(knocks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        return any([knock.result() for knock in done])
    finally:
        for knock in knocks:
            knock.cancel()
        await asyncio.gather(*knocks, return_exceptions=True)


async def _knock(address: Address, after_s: float) -> bool:
    await asyncio.sleep(after_s)
    with socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM) as knocking:
        knocking.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(knocking, address)
        except ConnectionRefusedError:
            raise
        except OSError:
            return False  # no way to it: as silent as a lost host
    return True
