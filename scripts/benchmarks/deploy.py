"""The main job beside Docker Swarm, and beside what bare podman-py can do: deploys, and repair after each loss.

Three hosts in namespaces, each with a Podman and an agent, and a Docker daemon that is a Swarm manager. The parties
take turns within each round. Docker's slow repairs are measured in fewer rounds (`--peer-rounds`).
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from podman import PodmanClient

from benchmarks.docker_swarm import Daemon, DockerSwarm
from benchmarks.report import Row, finish, ratio_row, row
from lab import image
from lab.cluster import Agent, ApiFailure, Cluster, eventually, kill_container
from lab.hosts import NamespaceHost, why_no_namespaces
from lab.workspace import Workspace, run

SERVICES, REPLICAS = 3, 10
TASKS = SERVICES * REPLICAS
COMPOSE = "services:\n" + "".join(
    f"  s{number}:\n    image: {image.NAME}\n    command: [sleep, '1000000']\n"
    f"    stop_grace_period: 0s\n    deploy: {{replicas: {REPLICAS}}}\n"
    for number in range(SERVICES)
)
BARE_WORKERS = 6
"""Two for each host: more are no faster on two cores."""
REPAIR_DEADLINE_S = 120.0
REST_S = 20.0
PEER = "Docker Swarm"
ClientMap = dict[str, PodmanClient]


def timed(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def say(text: str) -> None:
    print(text, flush=True)


class Swarmlet:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def running(self, asked: Agent, apart_from: Agent | None = None) -> int:
        """As the peers count: started, and not lost. (Without ports, a task is ready a steady second later.)"""
        tasks = [task for task in self.cluster.tasks(asked=asked) if task["phase"] == "running"]
        return sum(1 for task in tasks if apart_from is None or task["node"] != apart_from.name)

    def ready(self, asked: Agent) -> int:
        return sum(1 for task in self.cluster.tasks(asked=asked) if task["ready"])

    def deploy(self) -> float:
        asked = self.cluster.agents[0]

        def act() -> None:
            self.cluster.deploy("bench", COMPOSE, asked)
            eventually("all tasks run", lambda: self.running(asked) == TASKS, REPAIR_DEADLINE_S)

        taken = timed(act)
        eventually("all tasks are ready", lambda: self.ready(asked) == TASKS, REPAIR_DEADLINE_S)
        return taken

    def remove(self) -> None:
        asked = self.cluster.agents[0]
        asked.request("DELETE", "/v1/stacks/bench")
        eventually("all tasks are gone", lambda: not self.cluster.tasks(asked=asked, everything=True), 60)

    def kill_a_container(self) -> float:
        asked = self.cluster.agents[0]
        # The one restarted least: each further restart of the same task would wait twice as long, as it should.
        ready = [task for task in self.cluster.tasks(asked=asked) if task["ready"]]
        victim = min(ready, key=lambda task: int(task["restarts"]))
        owner = next(agent for agent in self.cluster.agents if agent.name == victim["node"])
        kill_container(owner, victim["id"])

        def back() -> bool:
            task = asked.get(f"/v1/tasks/{victim['id']}")
            return bool(task["ready"] and task["restarts"] > victim["restarts"])

        return timed(lambda: eventually("it is back", back, REPAIR_DEADLINE_S))

    def lose_a_host(self, lost: Agent) -> float:
        """From the cut to all tasks running elsewhere."""
        asked = next(agent for agent in self.cluster.agents if agent is not lost)

        def act() -> None:
            lost.host.cut()  # type: ignore[attr-defined]
            lost.kill()
            eventually("replaced", lambda: self.running(asked, apart_from=lost) == TASKS, REPAIR_DEADLINE_S)

        return timed(act)

    def bring_back(self, lost: Agent) -> None:
        lost.host.power_off()
        lost.host.power_on()
        lost.start(self.cluster.addresses)
        self.cluster.wait_formed(60)
        self.cluster.wait_converged("bench", 60)

    def redeploy(self) -> None:
        """Tasks on all hosts again: what runs is never moved, so a host that returned would stay empty."""
        self.remove()
        self.deploy()

    def follower(self) -> Agent:
        leader = self.cluster.leader()
        return next(agent for agent in self.cluster.agents if agent is not leader)

    def kill_the_leader(self) -> float:
        leader = self.cluster.leader()
        survivor = self.follower()

        def accepted() -> bool:
            try:
                survivor.request("PATCH", "/v1/services/bench.s0", {"replicas": wanted}, timeout_s=5)
            except ApiFailure:
                return False
            return True

        wanted = REPLICAS + 1

        def act() -> None:
            leader.kill()
            eventually("a write is accepted", accepted, REPAIR_DEADLINE_S)

        taken = timed(act)
        leader.start(self.cluster.addresses)
        self.cluster.wait_formed(60)
        wanted = REPLICAS
        eventually("scaled back", accepted, REPAIR_DEADLINE_S)
        eventually("at rest", lambda: self.ready(survivor) == TASKS, REPAIR_DEADLINE_S)
        return taken


class BarePodman:
    """The floor: the same containers through podman-py and a thread pool, nothing else."""

    def __init__(self, cluster: Cluster) -> None:
        self._hosts = [host for host in cluster.hosts if isinstance(host, NamespaceHost)]

    def deploy(self) -> float:
        with ThreadPoolExecutor(BARE_WORKERS) as pool:
            clients = [
                [PodmanClient(base_url=f"unix://{host.socket}") for _ in range(BARE_WORKERS // len(self._hosts))]
                for host in self._hosts
            ]

            def start(number: int) -> None:
                of_host = clients[number % len(clients)]
                client = of_host[(number // len(clients)) % len(of_host)]
                container = client.containers.create(
                    image.NAME, ["sleep", "1000000"], name=f"bare-{number}", labels={"bench": "bare"},
                    environment={"SWARMLET_TASK": str(number)},
                )  # fmt: skip
                container.start()

            return timed(lambda: list(pool.map(start, range(TASKS))))

    def remove(self) -> None:
        for host in self._hosts:
            ids = run(*host.podman(), "ps", "-a", "-q", "--filter", "label=bench=bare").split()
            if ids:
                run(*host.podman(), "rm", "-f", "--time", "0", *ids)


class Swarm:
    def __init__(self, swarm: DockerSwarm) -> None:
        self.swarm = swarm
        self._rounds = 0
        self._writes = 0

    def deploy(self) -> float:
        self._rounds += 1
        self.service = f"bench{self._rounds}"

        def act() -> None:
            self.swarm.create(self.service, TASKS)
            self.wait(self.swarm.daemons[0])

        return timed(act)

    def wait(self, asked: Daemon, without: Daemon | None = None) -> None:
        lost_id = self.node_id(without, asked) if without else None

        def all_run() -> bool:
            return len([task for task in asked.running(self.service) if task["NodeID"] != lost_id]) >= TASKS

        eventually("all tasks run", all_run, REPAIR_DEADLINE_S)

    def node_id(self, daemon: Daemon, asked: Daemon) -> str:
        def found() -> str | None:
            for node in asked.get("/nodes"):
                if node.get("ManagerStatus", {}).get("Addr", "").startswith(daemon.host.address + ":"):
                    return str(node["ID"])
            return None

        node_id: str = eventually("the node is listed", found, REPAIR_DEADLINE_S)
        return node_id

    def remove(self) -> None:
        self.swarm.remove(self.service)

    def kill_a_container(self) -> float:
        asked = self.swarm.daemons[0]
        before = {task["Status"]["ContainerStatus"]["ContainerID"] for task in asked.running(self.service)}
        local = next(one for one in asked.get("/containers/json") if one["Id"] in before)
        asked.docker("kill", local["Id"])

        def back() -> bool:
            now = {task["Status"]["ContainerStatus"]["ContainerID"] for task in asked.running(self.service)}
            return local["Id"] not in now and len(now) >= TASKS

        return timed(lambda: eventually("it is back", back, REPAIR_DEADLINE_S))

    def lose_a_host(self, lost: Daemon) -> float:
        asked = next(daemon for daemon in self.swarm.daemons if daemon is not lost)
        lost_id = self.node_id(lost, asked)

        def act() -> None:
            lost.host.cut()
            os.killpg(lost.process.pid, signal.SIGKILL)  # type: ignore[union-attr]

            def replaced() -> bool:
                return len([task for task in asked.running(self.service) if task["NodeID"] != lost_id]) >= TASKS

            eventually("replaced", replaced, REPAIR_DEADLINE_S)

        return timed(act)

    def bring_back(self, lost: Daemon) -> None:
        lost.stop()
        self.swarm.bring_back(lost)

    def kill_the_leader(self) -> float:
        leader = self.swarm.leader()
        survivor = next(daemon for daemon in self.swarm.daemons if daemon is not leader)

        def accepted() -> bool:
            self._writes += 1
            try:
                subprocess.run(
                    ["docker", "-H", f"unix://{survivor.socket}", "config", "create", f"c{self._writes}", "-"],
                    input=b"x", capture_output=True, timeout=10, check=True,
                )  # fmt: skip
            except subprocess.SubprocessError:
                return False
            return True

        def act() -> None:
            leader.stop()
            eventually("a write is accepted", accepted, REPAIR_DEADLINE_S)

        taken = timed(act)
        leader.start()
        self.swarm.wait_healthy()
        return taken


def at_rest(agent: Agent) -> tuple[float, float]:
    """(share of a core in %, resident MB) of one agent over a while of doing nothing."""
    assert agent.process is not None
    pid = agent.process.pid

    def cpu_s() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, started = cpu_s(), time.monotonic()
    time.sleep(REST_S)
    share = 100 * (cpu_s() - before) / (time.monotonic() - started)
    status = Path(f"/proc/{pid}/status").read_text()
    resident_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    return share, resident_kb / 1024


class Measurements:
    """All samples by name; the peer's beside ours, taken in turns."""

    def __init__(self, cluster: Cluster, peer: DockerSwarm | None, rounds: int, peer_rounds: int) -> None:
        self.cluster = cluster
        self.ours, self.bare = Swarmlet(cluster), BarePodman(cluster)
        self.docker = Swarm(peer) if peer else None
        self.rounds, self.peer_rounds = rounds, peer_rounds
        self.samples: dict[str, list[float]] = {}

    def take(self, name: str, value: float) -> None:
        self.samples.setdefault(name, []).append(value)
        say(f"  {name}: {value:.2f}")

    def deploys(self) -> None:
        for number in range(self.rounds + 1):
            results = [("deploy", self.ours.deploy()), ("bare", self.bare.deploy())]
            self.bare.remove()
            self.ours.remove()
            if self.docker is not None:
                results.append(("deploy (peer)", self.docker.deploy()))
                self.docker.remove()
            if number:  # The first of each is cold.
                for name, value in results:
                    self.take(name, value)

    def rest(self) -> None:
        """Ten tasks on each host and nothing to do; nothing of the peer runs a container meanwhile."""
        self.cluster.deploy("bench", COMPOSE)
        self.cluster.wait_converged("bench", 60)
        for name, agent in (("agent", self.ours.follower()), ("leader", self.cluster.leader())):
            share, resident_mb = at_rest(agent)
            self.take(f"{name} CPU", share)
            self.take(f"{name} memory", resident_mb)

    def losses(self) -> None:
        if self.docker is not None:
            self.docker.deploy()
        for number in range(self.rounds):
            self.take("container", self.ours.kill_a_container())
            if self.docker is not None and number < self.peer_rounds:
                self.take("container (peer)", self.docker.kill_a_container())
        for number in range(self.rounds):
            self.take("leader", self.ours.kill_the_leader())
            if self.docker is not None and number < self.peer_rounds:
                self.take("leader (peer)", self.docker.kill_the_leader())
        for name in ("host", "leader host"):
            for number in range(self.rounds):
                self._lose_a_host(name, number)

    def _lose_a_host(self, name: str, number: int) -> None:
        self.ours.redeploy()
        lost = self.cluster.leader() if name == "leader host" else self.ours.follower()
        self.take(name, self.ours.lose_a_host(lost))
        self.ours.bring_back(lost)
        if self.docker is None or number >= self.peer_rounds:
            return
        # Swarm moves nothing back to a host that returned: without a new deploy the next one lost runs nothing.
        self.docker.remove()
        self.docker.deploy()
        leader = self.docker.swarm.leader()
        followers = [daemon for daemon in self.docker.swarm.daemons if daemon is not leader]
        manager = leader if name == "leader host" else followers[0]
        self.take(f"{name} (peer)", self.docker.lose_a_host(manager))
        self.docker.bring_back(manager)

    def rows(self) -> list[Row]:
        samples = self.samples
        return [
            ratio_row("30 replicas, against podman-py alone", samples["deploy"], "podman-py", samples["bare"], 1.5),
            _row("30 replicas running", samples, "deploy", None),
            _row("killed container back", samples, "container", 0.6),
            _row("killed leader, write accepted", samples, "leader", 1.5),
            _row("lost host, tasks elsewhere", samples, "host", 5.0),
            _row("lost leader's host, tasks elsewhere", samples, "leader host", 6.0),
            row("agent at rest, 10 tasks: CPU", samples["agent CPU"], "%", at_most=2.0),
            row("agent at rest, 10 tasks: memory", samples["agent memory"], "MB", at_most=90.0),
            row("leader at rest, 10 tasks: CPU", samples["leader CPU"], "%", at_most=2.0),
            row("leader at rest, 10 tasks: memory", samples["leader memory"], "MB", at_most=90.0),
        ]


def _row(title: str, samples: dict[str, list[float]], name: str, at_most: float | None) -> Row:
    return row(title, samples[name], "s", peer=PEER, peer_samples=samples.get(f"{name} (peer)"), at_most=at_most)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench deploy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each figure")
    parser.add_argument("--peer-rounds", type=int, default=2, help="measurements of Docker's repairs")
    parser.add_argument("--no-peer", action="store_true", help="without Docker Swarm")
    options = parser.parse_args()
    if reason := why_no_namespaces():
        say(f"bench: {reason}")
        return 2
    workspace = Workspace.create()
    swarm = None
    try:
        cluster = Cluster(workspace, 3, "podman")
        cluster.start()
        if not options.no_peer:
            hosts = [host for host in cluster.hosts if isinstance(host, NamespaceHost)]
            swarm = DockerSwarm(workspace, hosts)
        measurements = Measurements(cluster, swarm, options.rounds, options.peer_rounds)
        measurements.deploys()
        measurements.rest()
        measurements.losses()
        stalls = cluster.stalls()
        for line in stalls:
            say(line)
    finally:
        if swarm is not None:
            swarm.close()
        workspace.close()
    return finish("deploy", measurements.rows())


if __name__ == "__main__":
    sys.exit(main())
