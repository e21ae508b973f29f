"""Reading the log files a supervisor writes, also while it writes and turns them over."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from swarmlet.runtime.interface import LogLine

POLL_S = 0.1
"""How late a followed line may be: there is no file notification in the standard library."""
READ_BYTES = 1024 * 1024


async def read_lines(
    folder: Path, tail: int | None, follow: bool, running: Callable[[], bool]
) -> AsyncGenerator[LogLine, None]:
    """All that is kept or the last `tail` lines, then what comes while the container runs."""
    reader = _Reader(folder / "log")
    try:
        kept: deque[LogLine] = deque(maxlen=tail)
        kept.extend(await asyncio.to_thread(_lines_of, folder / "log.1"))
        while lines := await asyncio.to_thread(reader.read):
            kept.extend(lines)
        for line in kept:
            yield line
        while follow:
            # Asked before reading: what was written before the end is read after it.
            last_round = not running()
            while lines := await asyncio.to_thread(reader.read):
                for line in lines:
                    yield line
            if last_round:
                return
            await asyncio.sleep(POLL_S)
    finally:
        reader.close()


def _lines_of(path: Path) -> list[LogLine]:
    try:
        return list(_parse(path.read_bytes().split(b"\n")))
    except FileNotFoundError:
        return []


def _parse(lines: list[bytes]) -> Iterator[LogLine]:
    for line in lines:
        stamp, _, rest = line.partition(b" ")
        kind, _, text = rest.partition(b" ")
        if kind in (b"o", b"e"):
            yield LogLine(float(stamp), "stdout" if kind == b"o" else "stderr", text.decode(errors="replace"))


@dataclass(slots=True)
class _Reader:
    """Whole lines from one file, and from its successor once it was turned over."""

    path: Path
    file: BinaryIO | None = None
    unfinished: bytes = b""

    def read(self) -> list[LogLine]:
        """At most `READ_BYTES` of lines; empty when there are none now."""
        if self.file is None:
            try:
                self.file = self.path.open("rb")
            except FileNotFoundError:
                return []
        turned_over = self._turned_over()
        data = self.file.read(READ_BYTES)
        if not data:
            if not turned_over:
                return []
            self.close()
            return self.read()
        *lines, self.unfinished = (self.unfinished + data).split(b"\n")
        found = list(_parse(lines))
        return found or self.read()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def _turned_over(self) -> bool:
        assert self.file is not None
        try:
            return self.path.stat().st_ino != os.fstat(self.file.fileno()).st_ino
        except FileNotFoundError:
            return False
