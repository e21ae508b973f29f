"""A container's log lines out of the engine's interleaved frames."""

from collections.abc import AsyncGenerator
from datetime import datetime

import aiohttp

from swarmlet.runtime.interface import LogLine, Stream
from swarmlet.runtime.podman.streams import frames

LINE_CHARS_MAX = 64 * 1024
"""A longer line is told in pieces."""


async def log_lines(reader: aiohttp.StreamReader) -> AsyncGenerator[LogLine, None]:
    """Each frame is a timestamp, a space and (a part of) a line."""
    parts: dict[Stream, tuple[float, str]] = {}
    async for stream, content in frames(reader):
        stamp, _, text = content.decode(errors="replace").partition(" ")
        at, begun = parts.pop(stream, (_wall_time(stamp), ""))
        text = begun + text
        if text.endswith("\n") or len(text) > LINE_CHARS_MAX:
            yield LogLine(at, stream, text.removesuffix("\n"))
        else:
            parts[stream] = (at, text)
    for stream, (at, text) in parts.items():
        yield LogLine(at, stream, text)


def _wall_time(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return 0.0
