"""Free ports on the loopback address, by asking the kernel for one and giving it back.

Between giving back and the task's own bind another process may take it: the task then fails to bind, ends, and
is started again with other ports.
"""

import socket
from collections.abc import Iterable

LOOPBACK = "127.0.0.1"


def free_ports(targets: Iterable[int]) -> dict[int, int]:
    """A different free port for each target port."""
    held: dict[int, socket.socket] = {}
    try:
        for target in targets:
            held[target] = socket.create_server((LOOPBACK, 0))
        return {target: open_socket.getsockname()[1] for target, open_socket in held.items()}
    finally:
        for open_socket in held.values():
            open_socket.close()
