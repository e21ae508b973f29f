"""Pods on three hosts with real containers: what runs before, what shares a network, and a lost host."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import Agent, Cluster, ask, eventually

pytestmark = pytest.mark.cluster

COMMON = """    image: swarmlet-demo:latest
    pull_policy: never
    stop_grace_period: 1s
    init: false
"""
INIT = f"""services:
  migrate:
{COMMON}    command: [sh, -c, "SCRIPT"]
  web:
{COMMON}    command: [sleep, "600"]
    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
"""
FRONT = f"""services:
  web:
{COMMON}    command: [web]
    ports: ["8090:8080"]
    x-swarmlet: {{pod: front}}
  side:
{COMMON}    command: [sh, -c, "while :; do echo got $$(wget -qO- http://127.0.0.1:8080/); sleep 1; done"]
    x-swarmlet: {{pod: front}}
"""


@pytest.fixture(autouse=True)
def restored(three_hosts: Cluster) -> Iterator[None]:
    yield
    for agent in three_hosts.agents:
        if agent not in three_hosts.alive():
            agent.host.power_on()
            agent.start(three_hosts.addresses)
    three_hosts.wait_formed(30)
    for stack in three_hosts.agents[0].get("/v1/stacks")["items"]:
        three_hosts.agents[0].cli("remove", stack["name"])


def deploy(agent: Agent, folder: Path, text: str, check: bool = True) -> Any:
    compose = folder / "compose.yaml"
    compose.write_text(text)
    return agent.cli("deploy", "shop", str(compose), check=check)


def ready_at(cluster: Cluster, service: str, asked: Agent) -> dict[str, Any] | None:
    return next((task for task in cluster.tasks(service, asked=asked) if task["ready"]), None)


def test_what_runs_before_ends_before_the_other_starts(three_hosts: Cluster, tmp_path: Path) -> None:
    agent = three_hosts.agents[0]

    deploy(agent, tmp_path, INIT.replace("SCRIPT", "sleep 3"))

    (before,) = three_hosts.tasks("shop.migrate", everything=True)
    (web,) = three_hosts.tasks("shop.web")
    assert web["ready"] and web["created_at"] >= before["created_at"] + 3


def test_a_service_waits_for_another_to_be_healthy(three_hosts: Cluster, tmp_path: Path) -> None:
    agent = three_hosts.agents[1]
    late = "healthcheck: {test: [CMD-SHELL, '[ -e /there ]'], interval: 200ms, retries: 50}"
    text = (
        f"services:\n  db:\n{COMMON}    command: [sh, -c, 'sleep 3; : > /there; exec sleep 600']\n    {late}\n"
        f"  web:\n{COMMON}    command: [sleep, '600']\n    depends_on: {{db: {{condition: service_healthy}}}}\n"
    )

    shown = deploy(agent, tmp_path, text)

    assert "waits for db (0 of 1 tasks ready)" in shown.stdout
    (db,), (web,) = three_hosts.tasks("shop.db"), three_hosts.tasks("shop.web")
    assert db["health"] == "healthy" and web["created_at"] >= db["created_at"] + 3


def test_a_deploy_fails_with_what_runs_before(three_hosts: Cluster, tmp_path: Path) -> None:
    failing = deploy(three_hosts.agents[0], tmp_path, INIT.replace("SCRIPT", "exit 3"), check=False)

    assert failing.returncode != 0
    assert "waits for migrate, which ended with exit status 3" in failing.stderr
    assert three_hosts.tasks("shop.web") == []


def test_a_pod_shares_localhost_and_is_started_elsewhere_as_a_whole(three_hosts: Cluster, tmp_path: Path) -> None:
    leader = three_hosts.leader()
    deploy(leader, tmp_path, FRONT)

    def together(asked: Agent) -> str:
        """The node of the pod, whose sidecar has the answer of its own web server; else nothing."""
        web, side = (ready_at(three_hosts, f"shop.{name}", asked) for name in ("web", "side"))
        if web is None or side is None or web["node"] != side["node"]:
            return ""
        # Not checked: for a moment its host may be one that has just gone.
        said = asked.cli("logs", side["id"], check=False).stdout
        return str(web["node"]) if f"got {web['id']} {web['node']}" in said else ""

    first = eventually("the sidecar reaches its web server", lambda: together(leader), 20)
    for agent in three_hosts.agents:
        assert ask(agent.host.address, 8090).split()[1] == first

    lost = next(agent for agent in three_hosts.agents if agent.name == first)
    asked = next(agent for agent in three_hosts.agents if agent is not lost)
    lost.kill()
    lost.host.power_off()

    second = eventually("the pod is elsewhere", lambda: (now := together(asked)) != first and now, 40)
    eventually("it answers", lambda: ask(asked.host.address, 8090).split()[1] == second)
