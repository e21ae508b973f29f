"""The guard of an exclusive task: the first process of its container, which ends when the lease has run out.

The end of its first process is the end of everything in a container; the kernel sees to that. So nothing outside has to
work for a task without a lease to die: no agent, no engine, no second supervisor that may die with the agent. Whoever
starts such a container starts the guard, and without a lease it runs nothing.

Rules:
- It is what the engine takes for the container's init, mounted read-only with the static busybox that runs it, beside
  the folder with the lease. It needs nothing of the image.
- It looks four times a second, and makes no process to do so: a limit on processes can't stop it. What stops the whole
  container (a pause, a suspended host) stops the task with it.
- It passes signals on to the task's process and ends with that one's exit status.
"""

import os
import shutil
from pathlib import Path
from typing import Any, Literal

from swarmlet.model.ids import TaskId
from swarmlet.runtime.interface import LAPSED, ContainerFailed
from swarmlet.runtime.lease_files import UNTIL

INSIDE = "/run/swarmlet"
PT_INTERP = 3

SCRIPT = f"""\
#!{INSIDE}/guard/busybox sh
leased() {{
  read -r boot until 2>/dev/null <{INSIDE}/lease/{UNTIL} || return 1
  read -r here </proc/sys/kernel/random/boot_id
  read -r up rest </proc/uptime
  [ "$boot" = "$here" ] && [ "${{up%.*}}${{up#*.}}" -lt "$until" ]
}}
ended() {{
  read -r line 2>/dev/null </proc/$task/stat || return 0
  line=${{line##*) }}
  [ "${{line%% *}}" = Z ]
}}
[ "$1" = -- ] && shift
leased || exit {LAPSED}
exec 3<>{INSIDE}/guard/never 4<&0
"$@" <&4 3<&- 4<&- &
task=$!
exec 4<&-
for name in TERM INT HUP QUIT USR1 USR2 WINCH; do
  trap "kill -$name $task 2>/dev/null" $name
done
while leased; do
  if ended; then
    wait $task
    exit $?
  fi
  read -r -t 0.25 line <&3
done
exit {LAPSED}
"""


class Guard:
    def __init__(self, folder: Path, leases: Path, busybox: Path | None = None) -> None:
        """`folder` is for the guard's program, `leases` where this node's leases are."""
        self._folder, self._leases = folder, leases
        self._busybox = busybox
        self._installed = False

    def install(self) -> None:
        """Blocking, once. Raises `ContainerFailed` where the host has no static busybox."""
        if self._installed:
            return
        found = self._busybox or _static_busybox()
        if found is None:
            raise ContainerFailed(
                "an exclusive service needs a static busybox on its node to guard it: apt-get install busybox-static"
            )
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        _replace(self._folder / "busybox", found.read_bytes(), 0o755)
        _replace(self._folder / "guard", SCRIPT.encode(), 0o755)
        never = self._folder / "never"
        if not never.is_fifo():
            never.unlink(missing_ok=True)
            os.mkfifo(never)
        never.chmod(0o666)
        self._installed = True

    def payload(self) -> dict[str, Any]:
        """How the engine is to run it."""
        return {"init": True, "init_path": str(self._folder / "guard")}

    def mounts(self, task: TaskId) -> list[dict[str, Any]]:
        places = ((self._folder, "guard"), (self._leases / task, "lease"))
        return [
            {"type": "bind", "source": str(source), "destination": f"{INSIDE}/{name}", "options": ["bind", "ro"]}
            for source, name in places
        ]


def _static_busybox() -> Path | None:
    found = shutil.which("busybox")
    return Path(found) if found and not is_dynamic(Path(found)) else None


def is_dynamic(program: Path) -> bool:
    """Whether it needs a loader: an ELF file's header table then names one (PT_INTERP)."""
    content = program.read_bytes()
    if content[:4] != b"\x7fELF" or content[4] != 2:
        return True
    order: Literal["little", "big"] = "little" if content[5] == 1 else "big"
    start = int.from_bytes(content[32:40], order)
    size, count = (int.from_bytes(content[at : at + 2], order) for at in (54, 56))
    kinds = (int.from_bytes(content[start + at * size :][:4], order) for at in range(count))
    return PT_INTERP in kinds


def _replace(path: Path, content: bytes, mode: int) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    new.chmod(mode)
    new.replace(path)
