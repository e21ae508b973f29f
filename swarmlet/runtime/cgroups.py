"""What a container has used, from its control group: a few small files, where asking the engine costs milliseconds.

Rules:
- Both hierarchies work, also side by side (hybrid): each figure comes from the hierarchy that has its controller.
- The group is the container's own, not one that it made within: its path is cut after the part that names it.
- Memory is what can't be let go at once: file pages that nobody used lately don't count (Kubernetes' working set).

Sources: kernel documentation admin-guide/cgroup-v1/{cpuacct,memory}.rst, admin-guide/cgroup-v2.rst; proc(5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from swarmlet.runtime.interface import Used

PROC = Path("/proc")
_V2 = ""
"""The unified hierarchy's name in /proc/PID/cgroup."""


@dataclass(frozen=True, slots=True)
class _Mount:
    at: Path
    root: str
    """The group that is visible at the mount point."""

    def path(self, group: str) -> Path:
        below = group.removeprefix(self.root) if self.root != "/" else group
        return self.at / below.lstrip("/")


class Cgroups:
    """Reads files; call it from a worker thread."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._mounts = _mounts((proc / "self/mountinfo").read_text())

    def used(self, pid: int, name: str) -> Used | None:
        """Of the group of a process whose path names `name` (a container's id); None where it can't be read."""
        try:
            groups = _groups((self._proc / str(pid) / "cgroup").read_text())
            cpu_s = self._cpu_s(groups, name)
            memory_bytes = self._memory_bytes(groups, name)
        except (OSError, ValueError):
            return None
        return None if cpu_s is None or memory_bytes is None else Used(cpu_s, memory_bytes)

    def _cpu_s(self, groups: Mapping[str, str], name: str) -> float | None:
        if (folder := self._folder("cpuacct", groups, name)) is not None:
            return int((folder / "cpuacct.usage").read_text()) / 1e9
        if (folder := self._folder(_V2, groups, name)) is not None:
            return _entry(folder / "cpu.stat", "usage_usec") / 1e6
        return None

    def _memory_bytes(self, groups: Mapping[str, str], name: str) -> int | None:
        if (folder := self._folder("memory", groups, name)) is not None:
            used = int((folder / "memory.usage_in_bytes").read_text())
            return max(0, used - _entry(folder / "memory.stat", "total_inactive_file"))
        if (folder := self._folder(_V2, groups, name)) is not None:
            used = int((folder / "memory.current").read_text())
            return max(0, used - _entry(folder / "memory.stat", "inactive_file"))
        return None

    def _folder(self, controller: str, groups: Mapping[str, str], name: str) -> Path | None:
        """None where the hierarchy isn't there or the process is not in that container's group."""
        mount, group = self._mounts.get(controller), groups.get(controller, "")
        before, found, after = group.partition(name)
        if mount is None or not found:
            return None
        return mount.path(before + found + after.partition("/")[0])


def _mounts(mountinfo: str) -> dict[str, _Mount]:
    """By controller; the unified hierarchy under the empty name. Of several mounts the first."""
    mounts: dict[str, _Mount] = {}
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if not separator or len(fields) < 5 or len(kinds) < 3:
            continue
        mount = _Mount(Path(fields[4]), fields[3])
        if kinds[0] == "cgroup2":
            mounts.setdefault(_V2, mount)
        elif kinds[0] == "cgroup":
            for option in kinds[2].split(","):
                mounts.setdefault(option, mount)
    return mounts


def _groups(text: str) -> dict[str, str]:
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)
    return groups


def _entry(file: Path, key: str) -> int:
    for line in file.read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0
