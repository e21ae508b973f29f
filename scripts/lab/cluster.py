"""Agents on lab hosts, started from `configs/`, and questions to them through their Unix sockets."""

import base64
import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.hosts import Host, NamespaceHost, make_hosts
from lab.workspace import Workspace, end_process, run, start_time

ROOT = Path(__file__).resolve().parents[2]
SWARMLET = Path(sys.executable).with_name("swarmlet")
EXAMPLE = ROOT / "docs/examples/hello/compose.yaml"
EVENT_BEGINS = re.compile(r"^(?=\d{4}-\d\d-\d\dT)", re.MULTILINE)
"""Where an agent's log begins its next event; the lines of a stack belong to the event before."""
READY_DEADLINE_S = 20.0
POLL_S = 0.02


class NotInTime(AssertionError):
    """A condition did not hold within its deadline."""


def eventually(what: str, condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Wait until the condition gives something true, and give that. A condition may fail while things settle."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = condition()
        except (OSError, http.client.HTTPException, ApiFailure, KeyError, StopIteration) as error:
            last = error
        else:
            if last:
                return last
        time.sleep(POLL_S)
    raise NotInTime(f"not within {timeout_s:.1f} s: {what}; last seen: {last!r}")


class ApiFailure(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def unix_connection(path: Path, timeout_s: float) -> http.client.HTTPConnection:
    """To an agent's own socket, whatever has become of its links."""
    return _UnixConnection(path, timeout_s)


class Agent:
    """One host's agent process."""

    def __init__(self, host: Host, key: str) -> None:
        self.host = host
        self.name = host.name
        self.data_directory = host.directory / "data"
        self.socket = self.data_directory / "api.sock"
        self.log_file = host.directory / "agent.log"
        self.key_file = host.directory / "cluster.key"
        self.give_key(key)
        self.process: subprocess.Popen[bytes] | None = None

    def give_key(self, text: str) -> None:
        """Put a key file on its host, as somebody would copy it there."""
        self.key_file.touch(mode=0o600)
        self.key_file.write_text(text)

    def settings(self, peers: list[str]) -> list[str]:
        """What differs from the file in `configs/`: paths in the lab, and the lab's addresses."""
        values = {
            "address": f"{self.host.address}:8421",
            "data_dir": str(self.data_directory),
            "key_file": str(self.key_file),
            "join": json.dumps([f"{address}:8421" for address in peers if address != self.host.address]),
            **self.host.settings(),
        }
        return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]

    def start(self, peers: list[str], *extra: str) -> None:
        config = ROOT / "configs" / f"node{(self.host.index - 1) % 3 + 1}.toml"
        naming = ("--set", f"name={self.name}")
        argv = [str(SWARMLET), "agent", "--config", str(config), *self.settings(peers), *naming, *extra]
        self.process = self.host.start(argv, "agent.log", env={**os.environ, "PYTHONUNBUFFERED": "1"})

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """As a crash: no goodbye to anybody."""
        self.signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        assert self.process is not None
        end_process(self.process.pid, start_time(self.process.pid))
        self._wait()

    def _wait(self) -> None:
        assert self.process is not None
        self.process.wait(timeout=15)
        self.process = None

    def request(self, method: str, path: str, body: object = None, timeout_s: float = 10.0) -> Any:
        connection = _UnixConnection(self.socket, timeout_s)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, body=content, headers={"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiFailure(response.status, text)
        return json.loads(text) if response.headers.get_content_type().endswith("json") else text

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def cli(self, *argv: str, check: bool = True, timeout_s: float = 180.0) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "SWARMLET_ADDR": f"unix://{self.socket}"}
        done = subprocess.run(
            [str(SWARMLET), *argv], capture_output=True, text=True, env=env, timeout=timeout_s, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"swarmlet {' '.join(argv)}: exit status {done.returncode}: {done.stderr}{done.stdout}")
        return done


class Cluster:
    def __init__(self, workspace: Workspace, count: int, runtime: str) -> None:
        self.workspace = workspace
        self.runtime = runtime
        key = base64.b64encode(secrets.token_bytes(32)).decode() + "\n"
        self.hosts = make_hosts(workspace, count, runtime)
        self.agents = [Agent(host, key) for host in self.hosts]

    @property
    def addresses(self) -> list[str]:
        return [host.address for host in self.hosts]

    def start(self, *extra: str) -> None:
        for agent in self.agents:
            agent.start(self.addresses[:3], *extra)
        self.wait_formed()

    def wait_formed(self, timeout_s: float = READY_DEADLINE_S) -> None:
        """Until every agent knows the leader, all nodes are up and as many vote as should."""
        voters = 1 if len(self.agents) < 3 else 3

        def formed() -> bool:
            views = [agent.get("/v1/status") for agent in self.alive()]
            return (
                all(
                    view["leader"] and view["nodes_alive"] == len(self.agents) and len(view["voters"]) == voters
                    for view in views
                )
                and all(not agent.get("/v1/voters")["changing"] for agent in self.alive())
                and all(node["status"] == "up" for node in self.agents[0].get("/v1/nodes")["items"])
            )

        eventually("all agents form one cluster", formed, timeout_s)

    def alive(self) -> list[Agent]:
        return [agent for agent in self.agents if agent.process is not None and agent.process.poll() is None]

    def leader(self) -> Agent:
        """The agent that leads, as a living one says."""

        def found() -> Agent | None:
            for agent in self.alive():
                name = agent.get("/v1/status")["leader"]
                for candidate in self.alive():
                    if candidate.name == name:
                        return candidate
            return None

        leader: Agent = eventually("a living agent leads", found, 10.0)
        return leader

    def deploy(self, stack: str, compose: str, asked: Agent | None = None) -> dict[str, Any]:
        reply: dict[str, Any] = (asked or self.alive()[0]).request(
            "PUT", f"/v1/stacks/{stack}", {"compose": compose, "variables": {}, "files": {}}
        )
        return reply

    def wait_converged(self, stack: str, timeout_s: float = 30.0, asked: Agent | None = None) -> None:
        agent = asked or self.alive()[0]
        eventually(
            f"stack {stack} converges", lambda: agent.get(f"/v1/stacks/{stack}")["state"] == "converged", timeout_s
        )

    def tasks(self, service: str = "", asked: Agent | None = None, everything: bool = False) -> list[dict[str, Any]]:
        query = [f"service={service}"] if service else []
        query += ["all=1"] if everything else []
        try:
            items: list[dict[str, Any]] = (asked or self.alive()[0]).get("/v1/tasks?" + "&".join(query))["items"]
        except ApiFailure as error:
            if error.status != 404:
                raise
            return []  # the service is not known there yet, or any longer
        return items

    def stalls(self) -> list[str]:
        """What the watchdogs of all agents ever reported: each stall, with the stack that names its culprit."""
        found: list[str] = []
        for agent in self.agents:
            if agent.log_file.exists():
                text = agent.log_file.read_text(errors="replace")
                found += [
                    f"{agent.name}: {event}" for event in EVENT_BEGINS.split(text) if "event_loop_stalled" in event
                ]
        return found


def ask(address: str, port: int = 8080, path: str = "/", timeout_s: float = 2.0) -> str:
    """One HTTP request over a connection of its own; the body."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    if response.status != 200:
        raise ApiFailure(response.status, text)
    return text


def kill_container(agent: Agent, task: str) -> None:
    """End a task's container or process from outside, as a crash of the program would."""
    if isinstance(agent.host, NamespaceHost):
        found = run(*agent.host.podman(), "ps", "-q", "--filter", f"label=io.swarmlet.task={task}").split()
        run(*agent.host.podman(), "kill", *found)
        return
    for record in agent.data_directory.glob("containers/*/run"):
        spec = json.loads(record.with_name("spec").read_text())
        if spec["task"] == task:
            os.kill(int(record.read_text().split()[3]), signal.SIGKILL)
            return
    raise RuntimeError(f"no process of task {task}")


@contextmanager
def cluster(count: int = 3, runtime: str = "podman") -> Iterator[Cluster]:
    """A cluster that is gone when the block ends, however it ends."""
    workspace = Workspace.create()
    try:
        yield Cluster(workspace, count, runtime)
    finally:
        workspace.close()
