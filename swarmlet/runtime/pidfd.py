"""Learning within a millisecond that a process ended, also one that is not our child, at no cost while it runs.

A pidfd (Linux 5.3) becomes readable when its process ends. Since a pid may have been given to another process
before we open it, the caller's `is_it` is asked after opening: from then on the pidfd can't change its meaning.
"""

import asyncio
import os
from collections.abc import Callable


class ExitWatch:
    """Watches processes by name; each is told once, by `on_exit(name)` from the event loop."""

    def __init__(self, on_exit: Callable[[str], None]) -> None:
        self._on_exit = on_exit
        self._fds: dict[str, int] = {}

    def add(self, name: str, pid: int, is_it: Callable[[], bool]) -> bool:
        """False when there is no such process (any more), or pidfds don't work here."""
        if name in self._fds:
            return True
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return False
        if not is_it():
            os.close(fd)
            return False
        self._fds[name] = fd
        asyncio.get_running_loop().add_reader(fd, self._ended, name)
        return True

    def drop(self, name: str) -> None:
        fd = self._fds.pop(name, None)
        if fd is not None:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)

    def close(self) -> None:
        for name in list(self._fds):
            self.drop(name)

    def _ended(self, name: str) -> None:
        self.drop(name)
        self._on_exit(name)
