"""Reads from the engine that last: events, logs, commands in containers, pulls.

These go over aiohttp instead of podman-py: a thread that is blocked in a read can't be cancelled, and the
engine sends not even the headers of a followed log before its first line. Here a cancelled reader is gone at
once, and one that doesn't read holds up the engine and not this process's memory.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiohttp

from swarmlet.runtime.interface import RuntimeUnavailable, Stream
from swarmlet.runtime.podman.engine import RUNTIME_NAME, Params, refusal

API = "http://podman/v4.0.0/libpod"
"""The oldest version of the engine's API that has all we use."""
STREAMS_MAX = 512
"""Open at once: followed logs and probes of a full node, with room to spare."""
CONNECT_TIMEOUT_S = 10.0
LINE_BYTES_MAX = 1024 * 1024
FRAME_BYTES_MAX = 1024 * 1024

_STREAM_NAMES: dict[int, Stream] = {1: "stdout", 2: "stderr"}


class EngineStreams:
    def __init__(self, socket_url: str) -> None:
        self._path = socket_url.removeprefix("http+").removeprefix("unix://")
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(
        self, method: Literal["GET", "POST"], path: str, params: Params | None = None, body: Any = None
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of a reply as it comes. Raises `EngineRefused`, or `RuntimeUnavailable` also while reading."""
        try:
            async with self._connected().request(
                method, API + path, params={name: _word(value) for name, value in (params or {}).items()}, json=body
            ) as response:
                if response.status >= 400:
                    raise refusal(response.status, await response.read())
                yield response.content
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RuntimeUnavailable(RUNTIME_NAME, str(error) or type(error).__name__) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self._path, limit=STREAMS_MAX, force_close=True),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
                read_bufsize=LINE_BYTES_MAX,
            )
        return self._session


def _word(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def json_lines(reader: aiohttp.StreamReader) -> AsyncGenerator[dict[str, Any], None]:
    while line := await reader.readline():
        if line.strip():
            yield json.loads(line)


async def frames(reader: aiohttp.StreamReader) -> AsyncGenerator[tuple[Stream, bytes], None]:
    """Standard output and error as the engine interleaves them: a kind, a length (4 bytes each), the content."""
    while True:
        try:
            header = await reader.readexactly(8)
            size = int.from_bytes(header[4:8], "big")
            if size > FRAME_BYTES_MAX:
                raise RuntimeUnavailable(RUNTIME_NAME, f"it sent a frame of {size} bytes")
            content = await reader.readexactly(size)
        except asyncio.IncompleteReadError:
            return
        # Podman tells its own trouble (a command that can't be run) as kind 3.
        yield _STREAM_NAMES.get(header[0], "stderr"), content
