"""A container's folder `STATE/containers/ID`: all that is known of it, so that a returning agent finds it again.

`spec` is written by the agent at creation (JSON), `run` and `exit` by the supervisor (one line each, see
`supervisor`), `log` and `log.1` too; `work` is the working folder of the image `scratch`.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.spec import TaskTemplate
from swarmlet.runtime.interface import ContainerId, ContainerSpec
from swarmlet.runtime.process.accounts import STAY
from swarmlet.runtime.process.supervisor import start_ticks


@dataclass(frozen=True, slots=True)
class ProcessName:
    """A pid and its start time: together never given to another process (until the host boots again)."""

    pid: int
    start_ticks: int

    @property
    def alive(self) -> bool:
        try:
            return start_ticks(self.pid) == self.start_ticks
        except (OSError, ValueError, IndexError):
            return False


@dataclass(frozen=True, slots=True)
class Run:
    number: int
    supervisor: ProcessName
    process: ProcessName
    started_at: float
    ports: Mapping[int, int]
    """Target port -> port on the loopback address."""


@dataclass(frozen=True, slots=True)
class ContainerFolder:
    path: Path

    @property
    def id(self) -> ContainerId:
        return ContainerId(self.path.name)

    def create(self, spec: ContainerSpec, cluster: str, node: NodeId) -> None:
        self.path.mkdir(parents=True, mode=0o711)
        written = {
            "cluster": cluster,
            "node": node,
            "task": spec.task,
            "service": spec.service,
            "name": spec.name,
            "labels": dict(spec.labels),
            "environment": dict(spec.environment),
            "devices": spec.devices,
            "template": spec.template.model_dump(mode="json"),
        }
        new = self.path / "spec.new"
        new.write_text(json.dumps(written))
        new.replace(self.path / "spec")

    def read_spec(self, cluster: str, node: NodeId) -> ContainerSpec | None:
        """None where the folder is another cluster's or node's, or half made."""
        try:
            read = json.loads((self.path / "spec").read_text())
            if (read["cluster"], read["node"]) != (cluster, node):
                return None
            return ContainerSpec(
                task=TaskId(read["task"]),
                service=ServiceId(read["service"]),
                name=read["name"],
                template=TaskTemplate.model_validate(read["template"]),
                labels=read["labels"],
                environment=read["environment"],
                devices=tuple(read.get("devices", ())),
            )
        except (OSError, ValueError, KeyError):
            return None

    def read_run(self) -> Run | None:
        """The last run; None if it never ran."""
        try:
            number, supervisor, supervisor_ticks, pid, ticks, started_at, ports = self._words("run")
            return Run(
                int(number),
                ProcessName(int(supervisor), int(supervisor_ticks)),
                ProcessName(int(pid), int(ticks)),
                float(started_at),
                parse_ports(ports),
            )
        except (OSError, ValueError):
            return None

    def read_exit_code(self, run: Run) -> int | None:
        """How that run ended; None if nobody saw it."""
        try:
            number, exit_code, _ = self._words("exit")
            return int(exit_code) if int(number) == run.number else None
        except (OSError, ValueError):
            return None

    def working_folder(self, uid: str, gid: str) -> Path:
        work = self.path / "work"
        if not work.exists():
            work.mkdir()
            if uid != STAY:
                os.chown(work, int(uid), int(gid))
        return work

    def remove(self) -> None:
        """Out of sight at once, whatever becomes of the deletion."""
        gone = self.path.with_name(f".{self.path.name}")
        try:
            self.path.replace(gone)
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)

    def _words(self, file: str) -> list[str]:
        return (self.path / file).read_text().split()


def folders_in(containers: Path) -> Iterator[ContainerFolder]:
    """All containers; what an interrupted removal left is removed."""
    if not containers.is_dir():
        return
    for entry in os.scandir(containers):
        if entry.name.startswith("."):
            shutil.rmtree(entry.path, ignore_errors=True)
        elif entry.is_dir():
            yield ContainerFolder(containers / entry.name)


def format_ports(ports: Mapping[int, int]) -> str:
    return ",".join(f"{target}={local}" for target, local in ports.items()) or "-"


def parse_ports(text: str) -> dict[int, int]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair != "-"]
    return {int(target): int(local) for target, _, local in pairs}
