"""A directory that owns whatever a lab makes, so that all of it can be found and removed, whatever happened.

Every process, namespace and link is written to the ledger before it is made. `Workspace.close` undoes the ledger
from its end; if a run was killed outright, `sweep` finds its directory (the owner's pid is gone) and does the same.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PREFIX = "swarmlet-lab-"
PROCESS_END_DEADLINE_S = 10.0


def run(*argv: str, check: bool = True, timeout_s: float = 60.0, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; its standard output. Raises with its standard error when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, env=env, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def start_time(pid: int) -> str | None:
    """The kernel's start time of a process (field 22 of stat): with the pid, it names one process for ever."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else fields[19]


class Workspace:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._ledger = path / "ledger.jsonl"
        self._children: list[subprocess.Popen[bytes]] = []

    @classmethod
    def create(cls) -> "Workspace":
        sweep()
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        workspace = cls(path)
        workspace.own(os.getpid())
        return workspace

    def own(self, pid: int) -> None:
        """Whose life keeps the lab up; 0: it stays until it is swept by name (`--keep`)."""
        (self.path / "owner").write_text(json.dumps({"pid": pid, "start": start_time(pid)}))

    def record(self, kind: str, **what: object) -> None:
        with self._ledger.open("a") as ledger:
            ledger.write(json.dumps({"kind": kind, **what}) + "\n")

    def spawn(
        self, argv: list[str], log: Path, env: dict[str, str] | None = None, engine: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a long-running process in its own session, its output in `log`.

        An engine is ended after everything else: agents must be gone before their containers are removed (they would
        start them again), and the engine is what removes them.
        """
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, start_new_session=True
            )
        self.record("engine" if engine else "process", pid=process.pid, start=start_time(process.pid))
        self._children.append(process)
        return process

    def entries(self) -> list[dict[str, object]]:
        if not self._ledger.exists():
            return []
        return [json.loads(line) for line in self._ledger.read_text().splitlines()]

    def close(self) -> None:
        entries = list(reversed(self.entries()))

        def each(kind: str) -> list[dict[str, object]]:
            return [entry for entry in entries if entry["kind"] == kind]

        for entry in each("process"):
            end_process(int(str(entry["pid"])), entry["start"])
        for entry in each("state"):
            end_supervised(Path(str(entry["path"])))
        for entry in each("podman"):
            _empty_podman(list(entry["remote"]))  # type: ignore[call-overload]
        _end_monitors(self.path)
        for entry in each("engine"):
            end_process(int(str(entry["pid"])), entry["start"])
        for child in self._children:
            child.wait()
        for entry in each("netns"):
            run("ip", "netns", "del", str(entry["name"]), check=False)
        for entry in each("link"):
            run("ip", "link", "del", str(entry["name"]), check=False)
        shutil.rmtree(self.path, ignore_errors=True)


def end_process(pid: int, start: object) -> None:
    """End one process that a lab started: politely, then not. Another process with the same pid is left alone."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if start is None or start_time(pid) != start:
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, sign)
        deadline = time.monotonic() + PROCESS_END_DEADLINE_S
        while start_time(pid) == start and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.01)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _empty_podman(remote: list[str]) -> None:
    """Remove every container of a lab's own Podman: its monitor processes end with it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        run(*remote, "kill", "--all", check=False, timeout_s=30)
        run(*remote, "rm", "--all", "--force", "--time", "0", check=False, timeout_s=60)


def _end_monitors(path: Path) -> None:
    """End containers that an engine could not be asked to remove any more: their monitors name the lab's directory."""
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = cmdline.read_bytes().split(b"\0")
            if not words[0].endswith(b"/conmon") or not any(word.startswith(bytes(path)) for word in words):
                continue
            monitor = int(cmdline.parent.name)
            for child in (cmdline.parent / f"task/{monitor}/children").read_text().split():
                end_process(int(child), start_time(int(child)))
            end_process(monitor, start_time(monitor))


def end_supervised(state: Path) -> None:
    """End what a process runtime left running on purpose below its state directory."""
    for record in state.glob("**/containers/*/run"):
        with contextlib.suppress(OSError, ValueError):
            _, _, _, pid, start, *_ = record.read_text().split()
            if start_time(int(pid)) == start:
                os.killpg(int(pid), signal.SIGKILL)


def sweep(everything: bool = False) -> list[Path]:
    """Remove the labs of runs that were killed before they could clean up; with `everything`, kept ones too."""
    swept = []
    for path in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        try:
            owner = json.loads((path / "owner").read_text())
        except (FileNotFoundError, ValueError):
            owner = {"pid": -1, "start": None}
        kept = owner["pid"] == 0 and not everything
        alive = owner["pid"] > 0 and owner["start"] is not None and start_time(owner["pid"]) == owner["start"]
        if kept or alive:
            continue
        Workspace(path).close()
        swept.append(path)
    return swept
