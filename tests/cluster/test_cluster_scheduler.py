"""The scheduler on three hosts: constraints, taints and affinity, explain, priorities, rebalancing."""

import json
from collections import Counter
from pathlib import Path

import pytest

from lab.cluster import Cluster, eventually

pytestmark = pytest.mark.cluster

SERVICE = """\
  {name}:
    image: swarmlet-demo:latest
    pull_policy: never
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
    stop_grace_period: 1s
    deploy: {{replicas: {replicas}, placement: {placement}, resources: {{reservations: {reserved}}}}}
    x-swarmlet: {extension}
"""


def a_file(folder: Path, *services: str) -> str:
    path = folder / "compose.yaml"
    path.write_text("services:\n" + "".join(services))
    return str(path)


def a_service(
    name: str, replicas: int = 1, placement: str = "{}", reserved: str = "{cpus: '0.01'}", extension: str = "{}"
) -> str:
    return SERVICE.format(name=name, replicas=replicas, placement=placement, reserved=reserved, extension=extension)


def where(cluster: Cluster, service: str) -> list[str]:
    return sorted(task["node"] for task in cluster.tasks(service) if task["ready"])


def test_labels_taints_and_neighbours_decide_where_tasks_run(three_hosts: Cluster, tmp_path: Path) -> None:
    agent = three_hosts.agents[0]
    agent.cli("node", "label", "node2", "disk=ssd")
    agent.cli("node", "taint", "node3", "dedicated=batch:no-schedule")
    file = a_file(
        tmp_path,
        a_service("fast", 2, "{constraints: [node.labels.disk==ssd]}"),
        a_service("mate", 1, extension="{placement: {affinity: [{service: fast}]}}"),
        a_service("shy", 1, extension="{placement: {anti_affinity: [{service: fast}]}}"),
        a_service("batch", 1, "{constraints: [node.hostname==node3]}", extension="{tolerations: [{key: dedicated}]}"),
    )

    agent.cli("deploy", "placed", file)

    assert where(three_hosts, "placed.fast") == ["node2", "node2"]
    assert where(three_hosts, "placed.mate") == ["node2"]
    assert where(three_hosts, "placed.shy") == ["node1"]
    assert where(three_hosts, "placed.batch") == ["node3"]

    agent.cli("node", "taint", "node3", "dedicated-")
    agent.cli("node", "label", "node2", "disk-")
    agent.cli("node", "label", "node3", "disk=ssd")
    eventually("tasks follow the label", lambda: where(three_hosts, "placed.fast") == ["node3", "node3"], 40)
    agent.cli("node", "label", "node3", "disk-")
    agent.cli("remove", "placed")


def test_every_rule_explains_itself_for_a_task_and_for_one_that_has_no_place(
    three_hosts: Cluster, tmp_path: Path
) -> None:
    agent = three_hosts.agents[1]
    file = a_file(tmp_path, a_service("web"), a_service("lost", 1, "{constraints: [node.labels.disk==tape]}"))
    agent.cli("deploy", "--detach", "why", file)
    task = eventually("it runs", lambda: next(each for each in three_hosts.tasks("why.web") if each["ready"]))

    shown = agent.cli("explain", task["id"]).stdout
    lost = json.loads(agent.cli("explain", "why.lost", "-o", "json").stdout)["placement"]

    assert f"task {task['id']} on {task['node']} is to run; running, healthy" in shown
    assert f"{task['node']} (rank 1, is there)" in shown
    assert "fewest-tasks-of-service" in shown
    verdicts = {node["node"]: {rule["rule"]: rule for rule in node["rules"]} for node in lost["nodes"]}
    assert {rules["constraints-hold"]["text"] for rules in verdicts.values()} == {
        "node.labels.disk==tape is not so: it has no such label"
    }
    assert not any(node["accepted"] for node in lost["nodes"])
    agent.cli("remove", "why")


def test_an_important_task_displaces_no_more_than_it_needs(three_hosts: Cluster, tmp_path: Path) -> None:
    agent = three_hosts.agents[0]
    cpus = {node["name"]: node["cpus"] for node in agent.get("/v1/nodes")["items"]}
    share = round(min(cpus.values()) * 0.4, 2)
    reserved = f"{{cpus: '{share}'}}"
    agent.cli("deploy", "many", a_file(tmp_path, a_service("small", 6, reserved=reserved)))
    before = {task["id"] for task in three_hosts.tasks("many.small")}

    agent.cli("deploy", "vip", a_file(tmp_path, a_service("big", 1, reserved=reserved, extension="{priority: 5}")))

    displaced = [task for task in three_hosts.tasks("many.small", everything=True) if task["desired"] == "stop"]
    assert len(displaced) == 1 and displaced[0]["id"] in before
    assert where(three_hosts, "vip.big") == [displaced[0]["node"]]
    assert len(where(three_hosts, "many.small")) == 5
    agent.cli("remove", "vip")
    eventually("the displaced one's seat is filled again", lambda: len(where(three_hosts, "many.small")) == 6)
    agent.cli("remove", "many")


def test_a_lopsided_cluster_gets_even_again(three_hosts: Cluster, tmp_path: Path) -> None:
    agent = three_hosts.agents[0]
    agent.cli("node", "cordon", "node3")
    agent.cli("deploy", "even", a_file(tmp_path, a_service("web", 6)))
    agent.cli("node", "uncordon", "node3")
    assert Counter(where(three_hosts, "even.web")) == {"node1": 3, "node2": 3}

    shown = agent.cli("rebalance", "--dry-run").stdout
    assert shown.count("node3") == 2 and "fewest-tasks-of-service" in shown
    assert Counter(where(three_hosts, "even.web")) == {"node1": 3, "node2": 3}, "nothing was moved yet"
    agent.cli("rebalance")

    assert Counter(where(three_hosts, "even.web")) == {"node1": 2, "node2": 2, "node3": 2}
    assert "nothing to move" in agent.cli("rebalance").stdout
    agent.cli("remove", "even")
