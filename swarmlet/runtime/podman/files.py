"""Configs and secrets on a node: a folder for each task, whose files are mounted read-only into its container.

The engine's own secrets were not taken: Podman mounts them writable. Rules:
- `FOLDER/TASK/N`, N in the order of the template. Only the agent's user can enter FOLDER; a file has the owner and the
  permissions that it has in the container.
- Written before the container is made, removed with it: a container that ends and starts again finds them, also after
  its host was started anew. What an agent that was killed left behind goes at the next agent's first listing.
"""

import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from swarmlet.model.container import FileMount
from swarmlet.model.ids import TaskId
from swarmlet.runtime.interface import ContainerFailed


class TaskFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mounts(self, task: TaskId, files: Sequence[FileMount]) -> list[dict[str, Any]]:
        """How the engine is to mount them."""
        return [
            {
                "type": "bind",
                "source": str(self._folder / task / str(at)),
                "destination": file.target,
                "options": ["bind", "ro"],
            }
            for at, file in enumerate(files)
        ]

    def write(self, task: TaskId, files: Sequence[FileMount]) -> None:
        """Blocking. Raises `ContainerFailed`, which names the target and never the content."""
        if not files:
            return
        self.remove(task)
        target = ""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = self._folder / task
            folder.mkdir(mode=0o700)
            for at, file in enumerate(files):
                target = file.target
                _write(folder / str(at), file)
        except ContainerFailed:
            self.remove(task)
            raise
        except OSError as error:
            self.remove(task)
            raise ContainerFailed(f"the file for {target or self._folder} can't be written: {error.strerror}") from None

    def remove(self, task: TaskId) -> None:
        """Blocking; nothing to do for a task that has none."""
        if task:
            shutil.rmtree(self._folder / task, ignore_errors=True)

    def keep_only(self, tasks: Collection[TaskId]) -> None:
        """Blocking: remove what belongs to no other task."""
        try:
            found = os.listdir(self._folder)  # noqa: PTH208  (names are wanted, not paths)
        except FileNotFoundError:
            return
        for name in found:
            if name not in tasks:
                self.remove(TaskId(name))


def _write(path: Path, file: FileMount) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as opened:
        opened.write(file.content)
        if os.geteuid() == 0:
            os.fchown(fd, file.uid, file.gid)
        elif (file.uid, file.gid) != (0, 0):
            # Without root, the container's root is the agent's user, and other users are not his to give files to.
            raise ContainerFailed(f"only an agent run by root can give {file.target} an owner, leave out uid and gid")
        os.fchmod(fd, file.mode)
