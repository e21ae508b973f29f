"""A real etcd of three members on loopback addresses of its own, with its defaults, beside swarmlet's agents."""

import http.client
import json
import os
import signal
import subprocess
from typing import Any

from lab.cluster import eventually
from lab.workspace import Workspace, end_process, start_time

CLIENT_PORT, PEER_PORT = 2379, 2380
READY_DEADLINE_S = 30.0


class Member:
    def __init__(self, workspace: Workspace, number: int) -> None:
        self.name = f"etcd{number}"
        self.address = f"127.0.0.{40 + number}"
        self.directory = workspace.path / self.name
        self.process: subprocess.Popen[bytes] | None = None
        self._workspace = workspace

    def start(self, members: list["Member"]) -> None:
        """For the first time, or again with what is in its directory."""
        client, peer = f"http://{self.address}:{CLIENT_PORT}", f"http://{self.address}:{PEER_PORT}"
        argv = [
            "etcd", "--name", self.name, "--data-dir", str(self.directory),
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", ",".join(f"{one.name}=http://{one.address}:{PEER_PORT}" for one in members),
            "--initial-cluster-token", "bench", "--logger", "zap",
        ]  # fmt: skip
        log = self._workspace.path / f"{self.name}.log"
        self.process = self._workspace.spawn(argv, log, env={"PATH": os.environ["PATH"]})

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)

    def gone(self) -> None:
        assert self.process is not None
        self.process.wait(timeout=15)
        self.process = None

    def status(self) -> dict[str, Any]:
        """Through the gateway; numbers come as text."""
        connection = http.client.HTTPConnection(self.address, CLIENT_PORT, timeout=2)
        try:
            connection.request("POST", "/v3/maintenance/status", body=b"{}")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return found


class Etcd:
    def __init__(self, workspace: Workspace) -> None:
        self.members = [Member(workspace, number) for number in (1, 2, 3)]
        for member in self.members:
            member.start(self.members)
        self.wait_healthy()

    def wait_healthy(self) -> None:
        def healthy() -> bool:
            return len({member.status()["leader"] for member in self.members}) == 1 and self.leader() is not None

        eventually("etcd's members agree on a leader", healthy, READY_DEADLINE_S)

    def leader(self) -> Member:
        def found() -> Member | None:
            for member in self.members:
                status = member.status()
                if status["header"]["member_id"] == status.get("leader"):
                    return member
            return None

        leader: Member = eventually("an etcd member leads", found, READY_DEADLINE_S)
        return leader

    def version(self) -> str:
        return str(self.members[0].status()["version"])

    def close(self) -> None:
        for member in self.members:
            if member.process is not None:
                end_process(member.process.pid, start_time(member.process.pid))
                member.process = None
