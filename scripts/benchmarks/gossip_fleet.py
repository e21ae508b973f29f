"""Twenty gossiping processes on loopback addresses: ours or Serf's, told apart only by how they are started and read.

Both log each change of a member's liveness; a thread per process stamps the lines as they come, on one clock.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swarmlet.security.keys import generate_key

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
POLL_S = 0.01
SCRIPTS = Path(__file__).resolve().parent.parent
"""Where the agents' own module is found."""
ALIVE, SUSPECT, DEAD, LEFT = "alive", "suspect", "dead", "left"
SERF_EVENTS = {"EventMemberJoin": ALIVE, "EventMemberFailed": DEAD, "EventMemberLeave": LEFT}
SERF_LINE = re.compile(r"serf: (EventMember\w+): (\S+)")


@dataclass(frozen=True)
class Change:
    at: float
    subject: str
    liveness: str


def read_serf(line: str) -> tuple[str, str] | None:
    found = SERF_LINE.search(line)
    if found is None or found[1] not in SERF_EVENTS:
        return None
    return found[2], SERF_EVENTS[found[1]]


def read_swarmlet(line: str) -> tuple[str, str] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or entry.get("event") != "node_liveness_changed":
        return None
    return entry["name"], entry["liveness"]


class Agent:
    def __init__(
        self, name: str, argv: list[str], log_file: Path, read: Callable[[str], tuple[str, str] | None]
    ) -> None:
        self.name, self._argv, self._log_file, self._read = name, argv, log_file, read
        self.changes: list[Change] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.changes = []
        self.process = subprocess.Popen(
            self._argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        )
        threading.Thread(target=self._follow, args=(self.process, self.changes), daemon=True).start()

    def _follow(self, process: "subprocess.Popen[str]", changes: list[Change]) -> None:
        assert process.stdout is not None
        with self._log_file.open("a") as log, process.stdout as lines:
            for line in lines:
                at = time.monotonic()
                log.write(line)
                found = self._read(line)
                if found is not None:
                    changes.append(Change(at, *found))

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def holds(self, subject: str) -> str | None:
        """What it said last about a member."""
        return next((change.liveness for change in reversed(self.changes) if change.subject == subject), None)

    def cpu_s(self) -> float:
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


class Fleet:
    """`network`: the first two numbers of the addresses, 127.x."""

    def __init__(self, what: str, network: str, agents: list[Agent]) -> None:
        self.what, self.network, self.agents = what, network, agents

    @classmethod
    def of_swarmlet(cls, size: int, network: str, directory: Path) -> "Fleet":
        key = directory / "key"
        key.write_text(generate_key() + "\n")
        key.chmod(0o600)
        agents = []
        for number in range(1, size + 1):
            argv = [
                sys.executable,
                "-m",
                "benchmarks.gossip_agent",
                f"n{number}",
                f"{network}.0.{number}:8421",
                str(key),
            ]
            argv += [f"{network}.0.1:8421"] if number > 1 else [f"{network}.0.2:8421"]
            agents.append(Agent(f"n{number}", argv, directory / f"swarmlet-n{number}.log", read_swarmlet))
        return cls("swarmlet", network, agents)

    @classmethod
    def of_serf(cls, size: int, network: str, directory: Path) -> "Fleet":
        agents = []
        for number in range(1, size + 1):
            address = f"{network}.0.{number}"
            seed = f"{network}.0.{2 if number == 1 else 1}"
            argv = [
                "serf", "agent", f"-node=n{number}", f"-bind={address}:7946", f"-rpc-addr={address}:7373",
                "-profile=lan", f"-retry-join={seed}:7946", "-retry-interval=1s", "-log-level=info",
            ]  # fmt: skip
            agents.append(Agent(f"n{number}", argv, directory / f"serf-n{number}.log", read_serf))
        return cls("Serf", network, agents)

    def start(self) -> float:
        """From the start of the first process until everyone knows everyone."""
        started = time.monotonic()
        for agent in self.agents:
            agent.start()
        self.wait_whole()
        return time.monotonic() - started

    def wait_whole(self, timeout_s: float = 90.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not self._is_whole():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.what}: not everyone knows everyone within {timeout_s:g} s")
            time.sleep(POLL_S)

    def _is_whole(self) -> bool:
        return all(viewer.holds(agent.name) == ALIVE for agent in self.agents for viewer in self.agents)

    def time_of_death(self, victim: Agent, since: float, timeout_s: float = 60.0) -> float:
        """When the last of the others held the victim for dead, in seconds."""
        others = [agent for agent in self.agents if agent is not victim]
        deadline = time.monotonic() + timeout_s
        while True:
            times = [
                next(
                    (c.at for c in agent.changes if c.at >= since and c.subject == victim.name and c.liveness == DEAD),
                    None,
                )
                for agent in others
            ]
            known = [at for at in times if at is not None]
            if len(known) == len(others):
                return max(known) - since
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.what}: only {len(known)} of {len(others)} know of the death")
            time.sleep(POLL_S)

    def deaths_declared(self, since: float, about: set[str]) -> int:
        return sum(
            change.at >= since and change.liveness == DEAD and change.subject in about
            for agent in self.agents
            for change in agent.changes
        )

    def cpu_s(self) -> float:
        return sum(agent.cpu_s() for agent in self.agents)

    def stop(self) -> None:
        running = [agent.process for agent in self.agents if agent.process is not None and agent.process.poll() is None]
        for process in running:
            # Ours, not waited for yet: the pid can't be anybody else's.
            process.send_signal(signal.SIGCONT)
            process.kill()
        for process in running:
            process.wait()
