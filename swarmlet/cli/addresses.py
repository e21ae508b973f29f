"""Where peers are, as people write it: HOST:PORT, http://HOST:PORT, or unix:///PATH of a socket on this host."""

import http.client
import re
import socket
from typing import Any

from swarmlet.errors import SwarmletError

ADDRESS_VARIABLE = "SWARMLET_ADDR"
API_PORT = 8420
PORT_MAX = 65_535
ADDRESS = re.compile(r"(?:http://)?(\[[^\x00-\x20\x7f\[\]]+\]|[^\x00-\x20\x7f/:\[\]?#@]+)(?::([0-9]{1,5}))?/?")


class NoPeer(SwarmletError):
    def __init__(self, failures: list[str]) -> None:
        tried = "; ".join(failures)
        super().__init__(f"no peer answered ({tried}): is an agent running? set {ADDRESS_VARIABLE} to a peer's address")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection_to(address: str, timeout_s: float | None) -> http.client.HTTPConnection:
    """Not opened yet. Raises `NoPeer` where the address is none."""
    timeout: Any = timeout_s
    if address.startswith("unix:"):
        path = address.removeprefix("unix:").removeprefix("//")
        if not path or "\0" in path:
            raise _no_address(address)
        return _UnixConnection(path, timeout)
    found = ADDRESS.fullmatch(address)
    host, port = (found[1], int(found[2] or API_PORT)) if found else ("", 0)
    if not 0 < port <= PORT_MAX or not _is_host_name(host):
        raise _no_address(address)
    return http.client.HTTPConnection(host.strip("[]"), port, timeout=timeout)


def _is_host_name(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _no_address(address: str) -> NoPeer:
    return NoPeer([f"{address}: write HOST:PORT, http://HOST:PORT or unix:///PATH"])
