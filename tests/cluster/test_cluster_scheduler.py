"""The scheduler on three hosts: who goes where by each rule, explain, priorities, rebalancing."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import Cluster, eventually
from lab.hosts import NamespaceHost
from lab.workspace import run

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


@pytest.fixture(autouse=True)
def cleared(three_hosts: Cluster) -> Iterator[None]:
    yield
    agent = three_hosts.alive()[0]
    for stack in agent.get("/v1/stacks")["items"]:
        agent.cli("remove", stack["name"])


def verdicts(cluster: Cluster, service: str) -> dict[str, dict[str, dict[str, Any]]]:
    """By node and rule, what the scheduler says of one more task."""
    placement = json.loads(cluster.agents[0].cli("explain", service, "-o", "json").stdout)["placement"]
    return {node["node"]: {rule["rule"]: rule for rule in node["rules"]} for node in placement["nodes"]}


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


def test_each_limit_of_a_node_refuses_what_is_too_much(three_hosts: Cluster, tmp_path: Path) -> None:
    agent = three_hosts.agents[0]
    nodes = agent.get("/v1/nodes")["items"]
    half = min(node["memory_bytes"] for node in nodes) * 6 // 10
    port = a_service("port", 4).replace("    deploy:", "    network_mode: host\n    ports: ['9090:9090']\n    deploy:")
    alien = a_service("alien").replace("    deploy:", "    platform: linux/s390x\n    deploy:")
    file = a_file(
        tmp_path,
        port,
        alien,
        a_service("single", 4, "{max_replicas_per_node: 1}"),
        a_service("large", 4, reserved=f"{{memory: {half}b}}"),
    )

    agent.cli("deploy", "--detach", "full", file)

    for name in ("port", "single", "large"):
        eventually(f"{name}: one on each", lambda name=name: len(where(three_hosts, f"full.{name}")) == 3, 30)
        assert where(three_hosts, f"full.{name}") == ["node1", "node2", "node3"]
        problem = agent.get(f"/v1/services/full.{name}")["problem"]
        assert problem.startswith("no node can take 1 of 4 tasks"), problem
    assert where(three_hosts, "full.alien") == []
    for name, rule in {
        "port": "host-ports-free",
        "alien": "platform-matches",
        "single": "per-node-limit",
        "large": "resources-fit",
    }.items():
        said = verdicts(three_hosts, f"full.{name}")
        assert all(rules[rule]["refused"] for rules in said.values()), said


def test_tasks_are_even_over_a_labels_domains_or_packed(three_hosts: Cluster, tmp_path: Path) -> None:
    agent = three_hosts.agents[0]
    for node, rack in {"node1": "a", "node2": "b", "node3": "b"}.items():
        agent.cli("node", "label", node, f"rack={rack}")
    file = a_file(
        tmp_path,
        a_service("spread", 4, "{preferences: [{spread: node.labels.rack}]}"),
        a_service("packed", 4, extension="{placement: {strategy: binpack}}"),
    )

    agent.cli("deploy", "shape", file)

    assert Counter(where(three_hosts, "shape.spread")) == {"node1": 2, "node2": 1, "node3": 1}
    assert len(set(where(three_hosts, "shape.packed"))) == 1
    for node in ("node1", "node2", "node3"):
        agent.cli("node", "label", node, "rack-")


def test_a_task_goes_where_its_volume_is_and_where_its_image_is(three_hosts: Cluster, tmp_path: Path) -> None:
    agent, chosen = three_hosts.agents[0], three_hosts.agents[1]
    assert isinstance(chosen.host, NamespaceHost)
    run(*chosen.host.podman(), "tag", "swarmlet-demo:latest", "swarmlet-demo:there")
    here = "{constraints: [node.hostname==node2]}"

    def service(name: str, replicas: int, placement: str) -> str:
        made = a_service(name, replicas, placement)
        if name == "image":
            return made.replace("swarmlet-demo:latest", "swarmlet-demo:there")
        return made.replace("    deploy:", "    volumes: ['data:/data']\n    deploy:")

    volumes = "volumes: {data: {name: kept}}\n"
    agent.cli("deploy", "first", a_file(tmp_path, service("image", 1, here), service("data", 1, here), volumes))
    agent.cli("remove", "first")
    agent.cli("deploy", "again", a_file(tmp_path, service("image", 0, "{}"), service("data", 0, "{}"), volumes))
    for name, rule in (("image", "image-is-there"), ("data", "volumes-are-there")):

        def known(name: str = name, rule: str = rule) -> bool:
            said = {node: rules[rule]["value"] for node, rules in verdicts(three_hosts, f"again.{name}").items()}
            return bool(said["node2"] < min(said["node1"], said["node3"]))

        eventually(f"the leader knows where the {name} is", known, 40)
        agent.cli("scale", f"again.{name}", "1")
        (node,) = eventually(f"the one with the {name} runs", lambda name=name: where(three_hosts, f"again.{name}"))
        assert node == "node2"
        agent.cli("scale", f"again.{name}", "0")


def test_a_job_gives_way_and_is_done_later(three_hosts: Cluster, tmp_path: Path) -> None:
    agent = three_hosts.agents[2]
    share = round(min(node["cpus"] for node in agent.get("/v1/nodes")["items"]) * 0.6, 2)
    reserved = f"{{cpus: '{share}'}}"
    job = a_service("work", reserved=reserved, extension="{job: {completions: 3, parallelism: 3, retries: 0}}")
    job = job.replace("while :; do", "while ! [ -e /go/on ]; do").replace("replicas: 1, ", "")
    job = job.replace("    deploy:", "    volumes: ['go:/go']\n    deploy:")
    agent.cli("deploy", "--detach", "batch", a_file(tmp_path, job, "volumes: {go: {name: go}}\n"))

    def its_run() -> dict[str, Any]:
        found: dict[str, Any] = agent.get("/v1/jobs/batch.work")["runs"][0]
        return found

    eventually("each node works", lambda: its_run()["running"] == 3, 30)

    agent.cli("deploy", "vip", a_file(tmp_path, a_service("big", reserved=reserved, extension="{priority: 5}")))

    assert its_run()["lost"] == 1 and its_run()["state"] == "running"
    for each in three_hosts.agents:
        assert isinstance(each.host, NamespaceHost)
        podman = each.host.podman()
        for container in run(*podman, "ps", "-q", "--filter", "label=io.swarmlet.service=batch.work").split():
            run(*podman, "exec", container, "sh", "-c", ": > /go/on")
    eventually("the others are done, and it is tried again", lambda: its_run()["state"] == "succeeded", 60)
    assert (its_run()["succeeded"], its_run()["failed"]) == (3, 0)


def test_a_cluster_that_is_told_to_gets_even_by_itself(three_hosts: Cluster, tmp_path: Path) -> None:
    for each in three_hosts.agents:
        each.stop()
        each.start(three_hosts.addresses, "--set", "scheduling.rebalance=gentle")
    three_hosts.wait_formed(30)
    agent = three_hosts.agents[0]
    agent.cli("node", "cordon", "node1")
    agent.cli("deploy", "even", a_file(tmp_path, a_service("web", 3)))
    before = {task["id"] for task in three_hosts.tasks("even.web")}
    deployed_at = time.time()
    agent.cli("node", "uncordon", "node1")

    eventually("it is even", lambda: where(three_hosts, "even.web") == ["node1", "node2", "node3"], 120)

    (moved,) = [task for task in three_hosts.tasks("even.web") if task["id"] not in before]
    assert moved["created_at"] >= deployed_at + 50, "only after a minute at rest"


def test_a_node_that_comes_and_goes_is_avoided(three_hosts: Cluster, tmp_path: Path) -> None:
    agent, flapping = three_hosts.agents[0], three_hosts.agents[2]
    for _ in range(3):
        flapping.kill()
        eventually("it is down", lambda: agent.get(f"/v1/nodes/{flapping.name}")["status"] == "down", 30)
        flapping.start(three_hosts.addresses)
        three_hosts.wait_formed(30)

    agent.cli("deploy", "steady", a_file(tmp_path, a_service("web", 4)))

    assert Counter(where(three_hosts, "steady.web")) == {"node1": 2, "node2": 2}
    assert verdicts(three_hosts, "steady.web")["node3"]["steady-nodes"]["value"] > 0
