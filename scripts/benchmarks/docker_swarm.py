"""Docker Swarm as a peer: three managers, a Docker daemon in each of the lab's namespaces."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lab import image
from lab.cluster import eventually
from lab.hosts import NamespaceHost
from lab.workspace import Workspace, end_process, run, start_time

DAEMON_DEADLINE_S = 40.0
SWARM_DEADLINE_S = 90.0
ULIMITS = ("--default-ulimit", "nofile=4096:4096", "--default-ulimit", "nproc=4096:4096")


class DockerApiFailure(OSError):
    pass


class Daemon:
    def __init__(self, host: NamespaceHost) -> None:
        self.host = host
        self.directory = host.directory / "docker"
        self.directory.mkdir()
        self.socket = self.directory / "docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        where = self.directory
        (where / "docker.pid").unlink(missing_ok=True)
        script = (
            "mkdir -p /run/docker && mount -t tmpfs tmpfs /run/docker && "
            f"exec dockerd --data-root {where}/data --exec-root {where}/exec -p {where}/docker.pid "
            f"-H unix://{self.socket} {' '.join(ULIMITS)}"
        )
        self.process = self.host.start(["unshare", "-m", "sh", "-c", script], "docker.log", env=dict(os.environ))
        eventually(f"the daemon on {self.host.name} answers", lambda: self.get("/info"), DAEMON_DEADLINE_S)

    def stop(self) -> None:
        """As a power cut: the daemon, its containerd and its containers end at once."""
        for pid in _processes_below(self.directory):
            _kill(pid)
        if self.process is not None:
            end_process(self.process.pid, start_time(self.process.pid))
            self.process.wait()
            self.process = None
        # Pid files and sockets of what was killed; a daemon that starts would believe them.
        shutil.rmtree(self.directory / "exec", ignore_errors=True)

    def docker(self, *argv: str) -> str:
        return run("docker", "-H", f"unix://{self.socket}", *argv, timeout_s=120)

    def get(self, path: str, timeout_s: float = 5.0) -> Any:
        connection = _Connection(self.socket, timeout_s)
        try:
            connection.request("GET", path, headers={"Host": "docker"})
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise DockerApiFailure(f"{response.status}: {text.decode(errors='replace')}")
        return json.loads(text)

    def running(self, service: str) -> list[dict[str, Any]]:
        """The service's tasks that run, as this manager says."""
        filters = quote(json.dumps({"service": [service], "desired-state": ["running"]}))
        return [task for task in self.get(f"/tasks?filters={filters}") if task["Status"]["State"] == "running"]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class DockerSwarm:
    def __init__(self, workspace: Workspace, hosts: list[NamespaceHost]) -> None:
        self.daemons = [Daemon(host) for host in hosts]
        archive = workspace.path / "docker-image.tar"
        for daemon in self.daemons:
            daemon.start()
        first = self.daemons[0]
        self.image = first.docker("import", str(workspace.path / "image.tar"), image.NAME).strip()
        first.docker("save", "-o", str(archive), image.NAME)
        for daemon in self.daemons[1:]:
            daemon.docker("load", "-i", str(archive))
        first.docker("swarm", "init", "--advertise-addr", first.host.address)
        token = first.docker("swarm", "join-token", "-q", "manager").strip()
        for daemon in self.daemons[1:]:
            daemon.docker(
                "swarm", "join", "--token", token, "--advertise-addr", daemon.host.address, f"{first.host.address}:2377"
            )

    def create(self, service: str, replicas: int) -> None:
        self.daemons[0].docker(
            "service", "create", "--name", service, "--replicas", str(replicas), "--network", "host",
            "--restart-delay", "0s", "--detach", "--no-resolve-image", self.image, "sleep", "1000000",
        )  # fmt: skip

    def remove(self, service: str) -> None:
        self.daemons[0].docker("service", "rm", service)

        def gone() -> bool:
            return not any(daemon.get("/containers/json") for daemon in self.daemons if daemon.process)

        eventually("all containers are gone", gone, SWARM_DEADLINE_S)

    def leader(self) -> Daemon:
        def found() -> Daemon | None:
            for daemon in self.daemons:
                if daemon.process is None:
                    continue
                for node in daemon.get("/nodes"):
                    if node.get("ManagerStatus", {}).get("Leader"):
                        address = node["ManagerStatus"]["Addr"].rsplit(":", 1)[0]
                        for candidate in self.daemons:
                            if candidate.host.address == address and candidate.process is not None:
                                return candidate
            return None

        leader: Daemon = eventually("a manager leads", found, SWARM_DEADLINE_S)
        return leader

    def wait_healthy(self) -> None:
        def healthy() -> bool:
            nodes = self.leader().get("/nodes")
            return all(
                node["Status"]["State"] == "ready" and node["ManagerStatus"]["Reachability"] == "reachable"
                for node in nodes
            )

        eventually("all managers are reachable", healthy, SWARM_DEADLINE_S)

    def lose(self, daemon: Daemon) -> None:
        daemon.host.cut()
        daemon.stop()

    def bring_back(self, daemon: Daemon) -> None:
        daemon.host.heal()
        daemon.start()
        self.wait_healthy()

    def close(self) -> None:
        for daemon in self.daemons:
            daemon.stop()


def _processes_below(directory: Path) -> list[int]:
    """Everything that a daemon started: containerd, shims and containers, by what they say of their directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            told = (path / "cmdline").read_bytes() + (path / "cgroup").read_bytes()
            root = os.readlink(path / "root")
        except OSError:
            continue
        if str(directory).encode() in told or root.startswith(str(directory)):
            found.append(int(path.name))
    children = {pid for parent in found for pid in _descendants(parent)}
    return [*found, *children - set(found)]


def _descendants(pid: int) -> list[int]:
    below = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in listing.read_text().split()]
        except OSError:
            continue
        for child in children:
            below += [child, *_descendants(child)]
    return below


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + 5
    while start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.005)
