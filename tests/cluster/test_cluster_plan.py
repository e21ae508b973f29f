"""On three real hosts: what is planned is what a deploy then does."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from lab.cluster import Cluster

pytestmark = pytest.mark.cluster

STACK = """
services:
  db:
    image: swarmlet-demo:latest
    pull_policy: never
    command: [sleep, "600"]
    stop_grace_period: 0s
  web:
    image: swarmlet-demo:latest
    pull_policy: never
    command: [sleep, "600"]
    stop_grace_period: 0s
    depends_on: {db: {condition: service_healthy}}
    deploy: {replicas: 4}
    secrets: [key]
  each:
    image: swarmlet-demo:latest
    pull_policy: never
    command: [sleep, "600"]
    stop_grace_period: 0s
    deploy: {mode: global}
secrets: {key: {file: key}}
"""


@pytest.fixture
def compose(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("hunter2")
    file = tmp_path / "compose.yaml"
    file.write_text(STACK)
    return file


def running(cluster: Cluster) -> Counter[tuple[str, str]]:
    return Counter((task["service"], task["node"]) for task in cluster.tasks())


def planned(plan: dict, action: str) -> Counter[tuple[str, str]]:
    return Counter((task["service"], task["node"]) for task in plan["tasks"] if task["action"] == action)


def test_a_deploy_does_what_was_planned(three_hosts: Cluster, compose: Path) -> None:
    first, second, third = three_hosts.agents

    # New: every task on the very node.
    plan = json.loads(first.cli("plan", "shop", str(compose), "--output", "json").stdout)
    assert three_hosts.tasks() == [], "nothing is done"
    second.cli("deploy", "shop", str(compose))
    assert plan["settled"] and planned(plan, "create") == running(three_hosts)
    assert sum(running(three_hosts).values()) == 1 + 4 + 3

    # Nothing to do.
    nothing = third.cli("plan", "shop", str(compose), "--detailed-exitcode")
    assert nothing.stdout.endswith("shop: nothing to do\n")

    # An update: who is replaced, who stops, who stays, and no word of the secret.
    before = {task["id"]: task for task in three_hosts.tasks()}
    (compose.parent / "key").write_text("hunter3")
    compose.write_text(
        STACK.replace("  each:", "    environment: {A: '1'}\n  each:").replace(
            "db:\n    image", "db:\n    deploy: {replicas: 2}\n    image"
        )
    )
    done = third.cli("plan", "shop", str(compose), "--detailed-exitcode", "--output", "json", check=False)
    plan = json.loads(done.stdout)
    assert done.returncode == 2 and "hunter" not in done.stdout and "aHVudGVy" not in done.stdout
    assert {each["name"]: each["action"] for each in plan["services"]} == {
        "db": "change", "each": "unchanged", "web": "change"
    }  # fmt: skip
    third.cli("deploy", "shop", str(compose))
    after = {task["id"]: task for task in three_hosts.tasks()}
    new = Counter((task["service"], task["node"]) for id_, task in after.items() if id_ not in before)
    assert planned(plan, "create") + planned(plan, "replace") == new
    assert {task["replaces"] for task in plan["tasks"] if task["replaces"]} == before.keys() - after.keys()

    # What is deployed can leave, without its secret.
    manifests = second.cli("export", "kubernetes", "shop").stdout
    documents = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(manifests)}
    assert {("Deployment", "web"), ("Deployment", "db"), ("DaemonSet", "each"), ("Secret", "web-secrets")} <= set(
        documents
    )
    assert documents["Deployment", "web"]["spec"]["replicas"] == 4
    assert "hunter" not in manifests and "aHVudGVy" not in manifests

    # What has no place, with every node's reason.
    compose.write_text(STACK.replace("replicas: 4", "replicas: 4, resources: {reservations: {memory: 900g}}"))
    shown = first.cli("plan", "shop", str(compose)).stdout
    assert all(f"{agent.name}: needs 900 GiB of memory" in shown for agent in three_hosts.agents)
    assert "it would not become as declared" in shown

    first.cli("remove", "shop")
