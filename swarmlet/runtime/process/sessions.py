"""What the processes of a session use together: each task's process leads a session of its own.

One walk over /proc serves all tasks of a node. A process that ended is counted where its parent took note of it; one
that made a session of its own is no longer found. Memory that processes share counts for each of them.
"""

import os
from collections.abc import Set
from pathlib import Path

from swarmlet.runtime.interface import Used

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Of the fields of /proc/PID/stat, counted from the one after the command's name.
_SESSION, _TIMES, _RSS_PAGES = 3, slice(11, 15), 21


def used_by_sessions(leaders: Set[int], proc: Path = Path("/proc")) -> dict[int, Used]:
    """By session id, which is its leader's pid. Reads a file a process: call it from a worker thread."""
    ticks = dict.fromkeys(leaders, 0)
    pages = dict.fromkeys(leaders, 0)
    seen: set[int] = set()
    for entry in os.scandir(proc):
        if not entry.name.isdigit():
            continue
        try:
            fields = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
            session = int(fields[_SESSION])
            if session in ticks:
                ticks[session] += sum(map(int, fields[_TIMES]))
                pages[session] += int(fields[_RSS_PAGES])
                seen.add(session)
        except (OSError, IndexError, ValueError):
            continue  # it ended while we looked
    return {session: Used(ticks[session] / _TICKS_PER_S, pages[session] * _PAGE_BYTES) for session in seen}
