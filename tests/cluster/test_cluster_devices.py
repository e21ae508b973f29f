"""Named devices on three hosts: each container gets its own, sees no other, and who finds none free waits."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cluster import Agent, Cluster, cluster, eventually

pytestmark = pytest.mark.cluster

STICKS = {"node1": 2, "node2": 1}
SERVICE = """\
services:
  app:
    image: swarmlet-demo:latest
    pull_policy: never
    environment: {{VERSION: "{version}"}}
    command: [sh, -c, 'for it in {everyone}; do [ -c $$it ] && echo sees $$it; done; echo told $$SWARMLET_DEVICES_STICK;
      trap "exit 0" TERM; while :; do sleep 0.2; done']
    stop_grace_period: 1s
    deploy:
      replicas: {replicas}
      update_config: {{order: stop-first}}
      resources: {{reservations: {{devices: [{{capabilities: [stick], count: {count}}}]}}}}
"""


def names(agent: Agent) -> list[str]:
    return [str(agent.host.directory / f"stick{number}") for number in range(STICKS.get(agent.name, 0))]


@pytest.fixture(scope="module")
def hosts() -> Iterator[Cluster]:
    """Sticks that are like /dev/zero: two on the first node, one on the second."""
    with cluster(3, "podman") as made:
        for agent in made.agents:
            for name in names(agent):
                os.mknod(name, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
            has = f"{{ stick = {json.dumps(names(agent))} }}"
            agent.start(made.addresses, "--set", f"resources.devices={has}")
        made.wait_formed()
        yield made
        assert made.stalls() == [], "no agent's event loop may stall"


def a_file(cluster: Cluster, folder: Path, version: str, replicas: int, count: int | str = 1) -> str:
    everyone = " ".join(name for agent in cluster.agents for name in names(agent))
    file = folder / "compose.yaml"
    file.write_text(SERVICE.format(version=version, everyone=everyone, replicas=replicas, count=count))
    return str(file)


def given(cluster: Cluster) -> list[str]:
    """What each task was told, having looked what it sees and what the leader gave it."""
    found: list[str] = []
    for task in cluster.tasks("sticks.app"):
        if not task["ready"]:
            continue
        lines = cluster.agents[2].cli("logs", task["id"]).stdout.splitlines()
        told = [name for line in lines if line.startswith("told ") for name in line.removeprefix("told ").split(",")]
        assert [line.removeprefix("sees ") for line in lines if line.startswith("sees ")] == told
        assert task["devices"] == {"stick": told}
        found += told
    return sorted(found)


def test_each_task_gets_its_own_device_and_the_next_one_waits(hosts: Cluster, tmp_path: Path) -> None:
    agent = hosts.agents[0]
    everyone = sorted(name for each in hosts.agents for name in names(each))

    agent.cli("deploy", "sticks", a_file(hosts, tmp_path, "1", 3))
    eventually("all are given", lambda: given(hosts) == everyone)
    agent.cli("deploy", "sticks", a_file(hosts, tmp_path, "2", 3))
    eventually("all are given again", lambda: given(hosts) == everyone)

    agent.kill()
    agent.start(hosts.addresses, "--set", f"resources.devices={{ stick = {json.dumps(names(agent))} }}")
    hosts.wait_formed(30)
    agent.cli("scale", "sticks.app", "4")
    eventually("the fourth waits", lambda: agent.get("/v1/services/sticks.app")["problem"])
    problem = agent.get("/v1/services/sticks.app")
    assert problem["problem"].startswith("no node can take 1 of 4 tasks")
    assert "needs 1 × stick, 0 of 2 free" in agent.cli("explain", "sticks.app").stdout
    eventually("all have what they had", lambda: given(hosts) == everyone)
    agent.cli("remove", "sticks")


def test_who_asks_for_all_gets_all_of_a_node(hosts: Cluster, tmp_path: Path) -> None:
    agent = hosts.agents[1]

    agent.cli("deploy", "sticks", a_file(hosts, tmp_path, "1", 2, "all"))

    assert {task["node"] for task in hosts.tasks("sticks.app")} == {"node1", "node2"}
    eventually("both are given", lambda: len(given(hosts)) == 3)
    agent.cli("remove", "sticks")


def test_a_certain_one_is_given_to_one_and_the_others_are_told_why_not(hosts: Cluster, tmp_path: Path) -> None:
    agent, wanted = hosts.agents[2], names(hosts.agents[0])[1]
    written = Path(a_file(hosts, tmp_path, "1", 2))
    written.write_text(written.read_text().replace("count: 1", f'device_ids: ["{wanted}"]'))

    agent.cli("deploy", "sticks", str(written), "--detach")
    eventually("it is given", lambda: given(hosts) == [wanted])
    assert [task["devices"] for task in hosts.tasks("sticks.app")] == [{"stick": [wanted]}]
    eventually("the other one waits", lambda: agent.get("/v1/services/sticks.app")["problem"])
    why = agent.get("/v1/services/sticks.app")["per_node"]
    assert why == {
        "node1": f"its stick {wanted} is taken",
        "node2": f"has no stick {wanted}",
        "node3": f"has no stick {wanted}",
    }
    agent.cli("remove", "sticks")
