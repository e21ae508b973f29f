"""Short calls to the Podman engine, through podman-py in a small bounded thread pool.

Rules:
- podman-py is synchronous and a client isn't shared between threads: each worker thread has its own.
- Only calls that the engine answers at once go here; reads that last are in `streams`.
- podman-py's low-level requests are used, not its container objects: those inspect after each step, which
  doubles the round trips of starting a container.
- Every call has a deadline; a full queue is an error, never a growing one.
"""

import asyncio
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from podman import PodmanClient
from podman.api.uds import UDSAdapter, UDSConnection, UDSConnectionPool, UDSSocket
from podman.errors import PodmanError

from swarmlet.runtime.interface import ContainerRuntimeError, RuntimeUnavailable

CALL_TIMEOUT_S = 60.0
"""Starting a container on a crowded disk takes seconds, not a minute."""
CALLS_WAITING_MAX = 2_000

RUNTIME_NAME = "podman"

Params = Mapping[str, str | int | bool]


class EngineRefused(ContainerRuntimeError):
    """The engine answered with an error, in its own words. Callers turn it into the interface's errors."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def refusal(status: int, body: bytes) -> EngineRefused:
    """The error of a reply: one line."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace")
    return EngineRefused(status, " ".join(message.split()) or f"status {status}")


class _Connection(UDSConnection):
    """podman-py's own leaves its socket open when connecting fails."""

    def connect(self) -> None:
        sock = UDSSocket(self.uds)
        try:
            sock.settimeout(self.timeout)
            sock.connect()  # type: ignore[no-untyped-call]  # podman-py is typed in parts
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class _ConnectionPool(UDSConnectionPool):
    ConnectionCls = _Connection


class Engine:
    def __init__(self, socket_url: str, workers: int) -> None:
        self._socket_url = socket_url
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="podman")
        self._clients: list[PodmanClient] = []
        self._of_thread = threading.local()
        self._waiting = 0

    async def call(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        body: Any = None,
        accept: tuple[int, ...] = (),
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Reply:
        """Raises `EngineRefused` for an error that is not in `accept`, `RuntimeUnavailable` without an answer."""
        if self._waiting >= CALLS_WAITING_MAX:
            raise RuntimeUnavailable(RUNTIME_NAME, f"{CALLS_WAITING_MAX} calls wait for it already")
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            reply = await loop.run_in_executor(self._pool, self._request, method, path, params, body, timeout_s)
        finally:
            self._waiting -= 1
        if reply.status >= 400 and reply.status not in accept:
            raise refusal(reply.status, reply.body)
        return reply

    async def close(self) -> None:
        """Ends the worker threads once their calls in flight are answered or run into their deadline."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        for client in self._clients:
            client.api.close()

    def _request(self, method: str, path: str, params: Params | None, body: Any, timeout_s: float) -> Reply:
        data = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            api = self._client().api
            request = {"GET": api.get, "POST": api.post, "DELETE": api.delete}[method]
            # `delete` and `get` take no data; `post` does.
            response = (
                request(path, params=params, timeout=timeout_s)
                if method != "POST"
                else request(path, params=params, data=data, headers=headers, timeout=timeout_s)
            )
            return Reply(response.status_code, response.content)
        except requests.Timeout:
            raise RuntimeUnavailable(RUNTIME_NAME, f"no answer within {timeout_s:g} s to {method} {path}") from None
        except (requests.RequestException, PodmanError, urllib3.exceptions.HTTPError, OSError) as error:
            raise RuntimeUnavailable(RUNTIME_NAME, f"{self._socket_url}: {_reason(error)}") from None

    def _client(self) -> PodmanClient:
        client = getattr(self._of_thread, "client", None)
        if client is None:
            client = PodmanClient(base_url=self._socket_url, timeout=CALL_TIMEOUT_S)
            adapter = client.api.get_adapter("http://podman")
            assert isinstance(adapter, UDSAdapter) and adapter.poolmanager is not None
            adapter.poolmanager.pool_classes_by_scheme = {"http": _ConnectionPool}
            self._of_thread.client = client
            self._clients.append(client)
        return client


def _reason(error: BaseException) -> str:
    """The innermost cause: the layers above it only repeat each other."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return " ".join(str(error).split()) or type(error).__name__
