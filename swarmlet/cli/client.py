"""A small HTTP client for the API: several addresses tried in turn, TCP or a Unix socket, problems as errors.

Every request of the API is safe to repeat (writes are idempotent), so one that failed on the way is sent to the
next address.
"""

import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from swarmlet.api.schema import REVISION_HEADER, Problem
from swarmlet.errors import SwarmletError

ADDRESS_VARIABLE = "SWARMLET_ADDR"
TOKEN_VARIABLE = "SWARMLET_TOKEN"
DEFAULT_ADDRESSES = ("unix:///var/lib/swarmlet/api.sock", "127.0.0.1:8420")
API_PORT = 8420
PART_BYTES = 256 * 1024
TIMEOUT_S = 15.0
"""Longer than a peer takes to say that there is no leader."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class ApiError(SwarmletError):
    """The peer refused, in its own words."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


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


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    revision: int
    """The store revision that the peer answered from, 0 where it named none."""

    def parse(self, kind: type[ModelT]) -> ModelT:
        return kind.model_validate_json(self.body)


class Client:
    def __init__(self, addresses: tuple[str, ...], token: str | None) -> None:
        self._addresses = addresses
        self._token = token

    @classmethod
    def from_environment(cls) -> "Client":
        given = tuple(part.strip() for part in os.environ.get(ADDRESS_VARIABLE, "").split(",") if part.strip())
        usable = tuple(
            at for at in DEFAULT_ADDRESSES if not at.startswith("unix:") or Path(at.removeprefix("unix://")).exists()
        )
        return cls(given or usable, os.environ.get(TOKEN_VARIABLE))

    def get(self, path: str, kind: type[ModelT], **query: str | int | None) -> ModelT:
        return self.request("GET", path, query=query).parse(kind)

    def request(
        self,
        method: str,
        path: str,
        body: BaseModel | None = None,
        query: dict[str, str | int | None] | None = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """`content` is sent as it is, in place of a `body` in JSON."""
        sent = headers or {}
        if body is not None:
            content, sent = body.model_dump_json().encode(), {"Content-Type": "application/json", **sent}
        with self._open(method, path, content, sent, query or {}, TIMEOUT_S) as response:
            return Answer(response.read(), int(response.headers.get(REVISION_HEADER, "0")))

    def lines(self, path: str, timeout_s: float | None, **query: str | int | None) -> Iterator[str]:
        """A streamed answer, line by line, without the line ends. None waits for ever between two lines."""
        with self._open("GET", path, None, {}, query, timeout_s) as response:
            for line in response:
                yield line.decode(errors="replace").rstrip("\n")

    def parts(self, path: str, **query: str | int | None) -> Iterator[bytes]:
        """A large answer, as it arrives. Raises `NoPeer` also when it breaks off."""
        with self._open("GET", path, None, {}, query, TIMEOUT_S) as response:
            try:
                while part := response.read(PART_BYTES):
                    yield part
            except (OSError, http.client.HTTPException) as error:
                raise NoPeer([f"the answer broke off: {error}"]) from error

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: dict[str, str],
        query: dict[str, str | int | None],
        timeout_s: float | None,
    ) -> Iterator[http.client.HTTPResponse]:
        wanted = {name: value for name, value in query.items() if value is not None}
        target = f"{path}?{urlencode(wanted)}" if wanted else path
        failures: list[str] = []
        unavailable: ApiError | None = None
        for address in self._addresses:
            connection = _connect(address, timeout_s)
            try:
                try:
                    response = self._send(connection, method, target, content, headers)
                except (OSError, http.client.HTTPException) as error:
                    failures.append(f"{address}: {error}")
                    continue
                if response.status >= 400:
                    problem = ApiError(_problem(response))
                    if response.status != 503:
                        raise problem
                    # Another peer may know a leader that this one does not.
                    unavailable = problem
                    continue
                yield response
                return
            finally:
                connection.close()
        raise unavailable or NoPeer(failures)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        content: bytes | None,
        headers: dict[str, str],
    ) -> http.client.HTTPResponse:
        sent = {"Accept": "application/json", **headers}
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        connection.request(method, target, body=content, headers=sent)
        return connection.getresponse()


def _connect(address: str, timeout_s: float | None) -> http.client.HTTPConnection:
    timeout: Any = timeout_s
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:").removeprefix("//"), timeout)
    host, _, port = address.removeprefix("http://").rstrip("/").rpartition(":")
    if not host:
        host, port = port, str(API_PORT)
    if not port.isdigit():
        raise NoPeer([f"{address}: write HOST:PORT, http://HOST:PORT or unix:///PATH"])
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)


def _problem(response: http.client.HTTPResponse) -> Problem:
    text = response.read().decode(errors="replace")
    try:
        return Problem.model_validate(json.loads(text))
    except (ValueError, ValidationError):
        return Problem(title=response.reason, status=response.status, detail=text or response.reason)
