"""Where a node keeps the leases of its exclusive tasks: a file each, read by the guards that kill those without one.

`FOLDER/TASK/until` holds the boot's id and the time, in hundredths of a second since that boot, up to which the task
may run: a lease means nothing after the host was started anew. Times are of the clock that goes on while a host sleeps.
A file is replaced as a whole: a guard sees the old lease or the new one.
"""

import os
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from swarmlet.model.ids import TaskId

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UNTIL = "until"
LEASES_DIR = "leases"
"""In a node's state directory."""


def boot_clock_s() -> float:
    """Seconds since the host's boot, those in which it slept included: what guards read from /proc/uptime."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LeaseFiles:
    """All methods block for a moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot_id = BOOT_ID.read_text().strip()

    def folder_of(self, task: TaskId) -> Path:
        return self._folder / task

    def prepare(self, task: TaskId) -> None:
        """Its folder, which a container is given before the first lease is there."""
        self.folder_of(task).mkdir(mode=0o755, parents=True, exist_ok=True)

    def write(self, task: TaskId, until_s: float) -> None:
        self.prepare(task)
        new = self.folder_of(task) / f"{UNTIL}.new"
        new.write_text(f"{self._boot_id} {int(until_s * 100)}\n")
        new.chmod(0o644)
        new.replace(self.folder_of(task) / UNTIL)

    def read(self, task: TaskId) -> float:
        """Until when it may run; 0 if it has no lease of this boot."""
        try:
            boot_id, until = (self.folder_of(task) / UNTIL).read_text().split()
        except (OSError, ValueError):
            return 0.0
        return int(until) / 100 if boot_id == self._boot_id and until.isdecimal() else 0.0

    def all(self) -> dict[TaskId, float]:
        """What an earlier agent left, as long as it is of this boot."""
        return {task: until for task in self.beside(()) if (until := self.read(task))}

    def beside(self, tasks: Collection[TaskId]) -> set[TaskId]:
        """Others than these that have a lease, or had."""
        try:
            found = os.listdir(self._folder)  # noqa: PTH208  (names are wanted, not paths)
        except FileNotFoundError:
            return set()
        return {TaskId(name) for name in found} - set(tasks)

    def keep_only(self, tasks: Collection[TaskId]) -> None:
        for task in self.beside(tasks):
            shutil.rmtree(self.folder_of(task), ignore_errors=True)
