"""Rollouts on three hosts: under load without a failed request, rolled back, by canary, blue-green and stop-first."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import ROOT, Cluster, ask, eventually

pytestmark = pytest.mark.cluster

WEB = "roll.web"
RATE = int(os.environ.get("SWARMLET_TEST_RATE", "200"))
"""Requests a second. Three hosts, their load and who sends it share one machine's processors: 500 where it has them."""
PARALLELISM = int(os.environ.get("SWARMLET_TEST_PARALLELISM", "3"))
SERVICE = """
services:
  web:
    image: swarmlet-demo:latest
    pull_policy: never
    command: [sh, -c, '{command}']
    environment: {{VERSION: "{version}"}}
    ports: ["8080:8080"]
    stop_grace_period: 5s
    deploy: {{replicas: {replicas}, {deploy}}}
    x-swarmlet: {{{extension}}}
"""
SERVE = "busybox mkdir -p /tmp/w; echo $$SWARMLET_TASK $$VERSION >/tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"


@pytest.fixture(autouse=True)
def cleared(three_hosts: Cluster) -> Iterator[None]:
    yield
    three_hosts.agents[0].cli("remove", "roll", check=False)


class Roll:
    """The stack `roll`, deployed by the command as a user would."""

    def __init__(self, cluster: Cluster, directory: Path, replicas: int, deploy: str = "", extension: str = "") -> None:
        self.cluster, self.file = cluster, directory / "compose.yaml"
        self.replicas, self.options, self.extension = replicas, deploy, extension

    def deploy(self, version: str, command: str = SERVE, *words: str) -> subprocess.CompletedProcess[str]:
        self.file.write_text(
            SERVICE.format(
                version=version, command=command, replicas=self.replicas, deploy=self.options, extension=self.extension
            )
        )
        return self.cluster.agents[0].cli("deploy", *words, "roll", str(self.file), check=False)

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.agents[0].get(f"/v1/services/{WEB}")
        return found

    def outcomes(self) -> list[str]:
        items = self.cluster.agents[0].get(f"/v1/services/{WEB}/history")["items"]
        return [item["outcome"] for item in reversed(items)]

    def versions(self, requests: int = 30) -> set[str]:
        """Which versions answer, on any host."""
        addresses = [host.address for host in self.cluster.hosts]
        return {ask(addresses[number % 3]).split()[1] for number in range(requests)}


@contextmanager
def steady_load(cluster: Cluster, rate: int = RATE) -> Iterator[dict[str, Any]]:
    """Requests to all three hosts for as long as the block takes; what became of them is in the mapping then."""
    found: dict[str, Any] = {}
    targets = [f"{host.address}:8080" for host in cluster.hosts]
    words = [sys.executable, "-m", "lab.load", "--rate", str(rate), "--seconds", "240", *targets]
    generator = subprocess.Popen(words, cwd=ROOT / "scripts", stdout=subprocess.PIPE, text=True)
    try:
        yield found
    finally:
        generator.send_signal(signal.SIGTERM)
        output, _ = generator.communicate(timeout=60)
        found.update(json.loads(output))


def test_thirty_replicas_are_updated_under_load_without_a_failed_request(three_hosts: Cluster, tmp_path: Path) -> None:
    pace = f"update_config: {{order: start-first, parallelism: {PARALLELISM}, failure_action: rollback}}"
    roll = Roll(three_hosts, tmp_path, replicas=30, deploy=pace)
    assert roll.deploy("1").returncode == 0

    with steady_load(three_hosts) as load:
        eventually("the load has begun", lambda: roll.versions() == {"1"})
        done = roll.deploy("2")

    assert done.returncode == 0, done.stderr
    assert load["failed"] == 0, load["failures"]
    assert load["answered"] == load["sent"]
    assert load["rate"] >= 0.5 * RATE, "there was load while it rolled"
    assert roll.versions() == {"2"}
    assert roll.outcomes() == ["healthy", "healthy"]


def test_a_version_that_fails_is_rolled_back_and_its_deploy_says_so(three_hosts: Cluster, tmp_path: Path) -> None:
    roll = Roll(three_hosts, tmp_path, replicas=6, extension="rollout: {patience: 3s}")
    roll.deploy("1")
    before = {task["id"] for task in three_hosts.tasks(WEB)}

    with steady_load(three_hosts, rate=50) as load:
        done = roll.deploy("2", "echo cannot start; exit 7")
        eventually("the old version is whole again", lambda: roll.service()["state"] == "converged", 30)

    assert done.returncode == 1
    assert "rolled back to revision 1" in done.stderr
    assert "status 7" in done.stderr
    assert {task["id"] for task in three_hosts.tasks(WEB)} == before, "what served all along was never touched"
    assert (load["failed"], list(load["words"])) == (0, ["1"])
    assert roll.outcomes() == ["healthy", "failed", "healthy"]


def test_a_canary_holds_at_its_step_until_it_is_resumed_and_is_gone_back_from(
    three_hosts: Cluster, tmp_path: Path
) -> None:
    roll = Roll(three_hosts, tmp_path, replicas=6, extension="rollout: {canary: {steps: [30%]}}")
    agent = three_hosts.agents[1]
    roll.deploy("1")

    done = roll.deploy("2")
    assert done.returncode == 1
    assert "30 % of its tasks are new and ready, and it waits for you" in done.stderr
    assert (roll.service()["ready"], roll.service()["outdated"]) == (2, 4)
    assert roll.versions(60) == {"1", "2"}

    agent.cli("rollout", "resume", WEB)
    three_hosts.wait_converged("roll")
    assert roll.versions() == {"2"}

    said = agent.cli("rollback", WEB, "--to", "1").stdout
    assert "back to revision 1" in said
    assert roll.versions() == {"1"}
    assert "healthy" in agent.cli("history", "roll").stdout


def test_a_rollout_is_paused_goes_on_and_is_taken_back(three_hosts: Cluster, tmp_path: Path) -> None:
    pace = "update_config: {order: start-first, parallelism: 1, delay: 2s, failure_action: rollback}"
    roll = Roll(three_hosts, tmp_path, replicas=6, deploy=pace)
    agent, other, _ = three_hosts.agents
    roll.deploy("1")
    roll.deploy("2", SERVE, "--detach")
    eventually("it has begun", lambda: 0 < roll.service()["outdated"] < 6, 30)

    agent.cli("rollout", "pause", WEB)
    eventually("who was on the way is there", lambda: all(task["ready"] for task in three_hosts.tasks(WEB)), 30)
    held = {task["id"] for task in three_hosts.tasks(WEB)}
    shown = other.cli("rollout", "status", WEB).stdout
    assert "paused" in shown, shown
    paused_at = time.monotonic()
    while time.monotonic() < paused_at + 5:
        assert {task["id"] for task in three_hosts.tasks(WEB)} == held, "longer than two turns: nothing moves"
        roll.versions(6)

    other.cli("rollout", "resume", WEB)
    eventually("it goes on", lambda: {task["id"] for task in three_hosts.tasks(WEB)} != held, 30)
    agent.cli("rollout", "abort", WEB)
    three_hosts.wait_converged("roll", 60)

    assert roll.versions() == {"1"}
    assert roll.outcomes() == ["healthy", "aborted", "healthy"]


def test_blue_green_switches_all_traffic_at_once(three_hosts: Cluster, tmp_path: Path) -> None:
    roll = Roll(three_hosts, tmp_path, replicas=6, extension="rollout: {strategy: blue-green}")
    roll.deploy("1")

    with steady_load(three_hosts, rate=200) as load:
        eventually("the load has begun", lambda: roll.versions() == {"1"})
        assert roll.deploy("2").returncode == 0

    assert load["failed"] == 0, load["failures"]
    overlap = load["words"]["1"]["last"] - load["words"]["2"]["first"]
    assert overlap < 200 * 0.5, "hosts switch within half a second of each other"
    assert roll.versions() == {"2"}


def test_stop_first_starts_no_new_task_before_its_old_one_is_gone(three_hosts: Cluster, tmp_path: Path) -> None:
    roll = Roll(three_hosts, tmp_path, replicas=3, deploy="update_config: {order: stop-first}")
    roll.deploy("1")

    with steady_load(three_hosts, rate=100) as load:
        assert roll.deploy("2", SERVE, "--detach").returncode == 0
        most = 0

        def done() -> bool:
            nonlocal most
            tasks = three_hosts.tasks(WEB, everything=True)
            most = max(most, sum(task["phase"] in ("starting", "running", "stopping") for task in tasks))
            return bool(roll.service()["state"] == "converged")

        eventually("the new version runs", done, 60)

    assert most == 3
    assert load["failed"] == 0, load["failures"]
    assert roll.versions() == {"2"}


def test_what_is_hopeless_is_parked_with_its_reason_and_what_serves_goes_on(
    three_hosts: Cluster, tmp_path: Path
) -> None:
    roll = Roll(three_hosts, tmp_path, replicas=3, extension="rollout: {patience: 1m}")
    roll.deploy("1")
    serving = {task["id"] for task in three_hosts.tasks(WEB)}

    roll.deploy("2", "exec /nobody/has/this", "--detach")

    def parked() -> list[dict[str, Any]]:
        return [task for task in three_hosts.tasks(WEB) if "parked after 4 failures in a row" in task["message"]]

    task = eventually("it is parked", parked, 30)[0]
    assert "status 127" in task["message"] and "tried again" in task["message"]
    assert serving <= {task["id"] for task in three_hosts.tasks(WEB) if task["ready"]}
    three_hosts.agents[1].cli("rollout", "abort", WEB)
    three_hosts.wait_converged("roll")
    assert roll.versions() == {"1"}


def test_a_task_that_is_not_ready_gets_no_traffic_and_is_not_restarted(three_hosts: Cluster, tmp_path: Path) -> None:
    probe = "readiness: {http: {port: 8080, path: /ready}, interval: 500ms}"
    roll = Roll(three_hosts, tmp_path, replicas=3, extension=probe)
    late = "(if [ $$SWARMLET_SLOT = 3 ]; then sleep 5; fi; echo >/tmp/w/ready) & exec httpd"
    roll.deploy("1", SERVE.replace("exec httpd", late), "--detach")

    def two_serve() -> bool:
        tasks = {task["slot"]: task for task in three_hosts.tasks(WEB)}
        return [tasks[slot]["ready"] for slot in sorted(tasks)] == [True, True, False] and bool(
            tasks[3]["health"] == "healthy"
        )

    eventually("two are ready, and the third is healthy", two_serve)
    (unready,) = (task["id"] for task in three_hosts.tasks(WEB) if task["slot"] == 3)
    answering = {ask(three_hosts.hosts[0].address).split()[0] for _ in range(12)}
    assert unready not in answering
    three_hosts.wait_converged("roll")
    assert {task["restarts"] for task in three_hosts.tasks(WEB)} == {0}
    eventually("it gets traffic", lambda: unready == ask(three_hosts.hosts[0].address).split()[0])
