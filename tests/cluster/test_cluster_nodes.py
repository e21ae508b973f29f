"""Nodes on three hosts with Podman: cordoned, drained under traffic, labelled, tainted, forgotten; exclusive tasks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.cluster import EXAMPLE, Agent, Cluster, ask, eventually
from lab.hosts import NamespaceHost
from swarmlet.model.exclusive import KILL_S, LEASE_S, MARGIN_S

pytestmark = pytest.mark.cluster

WEB = "hello.web"
ONLY = "single.only"
BEAT_S = 0.1


@pytest.fixture(scope="module")
def hello(three_hosts: Cluster) -> Cluster:
    three_hosts.agents[0].cli("deploy", "hello", str(EXAMPLE))
    return three_hosts


@pytest.fixture(autouse=True)
def restored(hello: Cluster) -> Iterator[None]:
    for agent in hello.agents:
        if agent not in hello.alive():
            agent.start(hello.addresses)
    hello.wait_formed(30)
    for agent in hello.agents:
        hello.agents[0].cli("node", "uncordon", agent.name)
    hello.wait_converged("hello")
    yield


def on(cluster: Cluster, node: Agent, service: str = WEB) -> list[dict]:
    return [task for task in cluster.tasks(service) if task["node"] == node.name]


@contextmanager
def steady_requests(address: str) -> Iterator[list[str]]:
    """One request after the other while the block runs; what went wrong is in the list."""
    failures: list[str] = []
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            try:
                ask(address)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is a failed request)
                failures.append(repr(error))

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        yield failures
    finally:
        over.set()
        asking.join()


def test_a_drained_node_empties_without_one_failed_request(hello: Cluster) -> None:
    asked, drained = hello.agents[0], hello.agents[1]
    assert on(hello, drained)

    with steady_requests(asked.host.address) as failures:
        shown = asked.cli("node", "drain", drained.name, "--deadline", "2m")

    assert failures == []
    assert f"left: {WEB}" in shown.stdout or "left: hello.counter" in shown.stdout
    assert f"{drained.name}: drained after" in shown.stdout
    assert [task for task in hello.tasks() if task["node"] == drained.name] == []
    assert isinstance(drained.host, NamespaceHost)
    row = next(line for line in asked.cli("nodes").stdout.splitlines() if line.startswith(drained.name))
    assert "drained" in row
    hello.wait_converged("hello")


PINNED = """\
services:
  app:
    image: swarmlet-demo:latest
    pull_policy: never
    command: [counter]
    deploy: {{placement: {{constraints: [node.hostname=={node}]}}}}
"""
ONE_BY_ONE = """\
services:
  app:
    image: swarmlet-demo:latest
    pull_policy: never
    command: [counter]
    deploy: {replicas: 3, update_config: {order: stop-first}}
    x-swarmlet: {max_unavailable: 1}
"""


def test_what_cant_leave_is_stopped_at_the_drains_deadline(hello: Cluster, tmp_path: Path) -> None:
    asked, drained = hello.agents[0], hello.agents[2]
    compose = tmp_path / "compose.yaml"
    compose.write_text(PINNED.format(node=drained.name))
    asked.cli("deploy", "pinned", str(compose))

    shown = asked.cli("node", "drain", drained.name, "--deadline", "6s")

    assert "pinned.app 1 (the relocation waits: no room for new tasks beside the old ones)" in shown.stdout
    assert f"{drained.name}: drained after" in shown.stdout
    assert hello.tasks("pinned.app") == []
    problem = asked.get("/v1/services/pinned.app")["problem"]
    assert problem.startswith("no node can take 1 of 1 tasks")

    asked.cli("node", "uncordon", drained.name)
    hello.wait_converged("pinned")
    asked.cli("remove", "pinned")


def test_a_drain_keeps_within_the_disruption_budget(hello: Cluster, tmp_path: Path) -> None:
    asked, drained, other = hello.agents
    compose = tmp_path / "compose.yaml"
    compose.write_text(ONE_BY_ONE)
    for each in (asked, other):
        asked.cli("node", "cordon", each.name)
    asked.cli("deploy", "budget", str(compose))
    for each in (asked, other):
        asked.cli("node", "uncordon", each.name)
    assert len(on(hello, drained, "budget.app")) == 3
    ready: list[int] = []

    asked.cli("node", "drain", drained.name, "--detach")

    def left() -> bool:
        tasks = [task for task in hello.tasks("budget.app") if task["ready"]]
        ready.append(len(tasks))
        return len(tasks) == 3 and drained.name not in {task["node"] for task in tasks}

    eventually("all three have left", left, 60)
    assert min(ready) == 2, "one after the other"
    asked.cli("remove", "budget")


def test_a_cordoned_node_gets_nothing_new_and_keeps_what_it_has(hello: Cluster) -> None:
    asked, cordoned = hello.agents[0], hello.agents[2]
    before = {task["id"] for task in on(hello, cordoned)}

    asked.cli("node", "cordon", cordoned.name)
    asked.cli("scale", WEB, "9")
    hello.wait_converged("hello")

    assert {task["id"] for task in on(hello, cordoned)} == before
    asked.cli("scale", WEB, "6")


def test_a_label_decides_where_tasks_go(hello: Cluster, tmp_path: Path) -> None:
    asked, chosen = hello.agents[0], hello.agents[1]
    asked.cli("node", "label", chosen.name, "disk=ssd")
    compose = tmp_path / "compose.yaml"
    compose.write_text(
        'services:\n  app:\n    image: swarmlet-demo:latest\n    command: ["counter"]\n'
        "    deploy:\n      replicas: 2\n      placement:\n        constraints: [node.labels.disk == ssd]\n"
    )

    asked.cli("deploy", "labelled", str(compose))

    assert {task["node"] for task in hello.tasks("labelled.app")} == {chosen.name}
    asked.cli("remove", "labelled")
    asked.cli("node", "label", chosen.name, "disk-")


def test_a_no_execute_taint_sends_tasks_away_and_they_may_come_back(hello: Cluster) -> None:
    asked, tainted = hello.agents[0], hello.agents[2]

    asked.cli("node", "taint", tainted.name, "broken:no-execute")
    eventually("everything leaves", lambda: not [t for t in hello.tasks() if t["node"] == tainted.name], 60)
    hello.wait_converged("hello")

    asked.cli("node", "taint", tainted.name, "broken-")
    asked.cli("scale", WEB, "9")
    eventually("it gets new ones", lambda: on(hello, tainted), 30)
    asked.cli("scale", WEB, "6")


def test_a_node_that_never_returns_is_forgotten(hello: Cluster) -> None:
    asked, lost = hello.agents[0], hello.agents[2]
    refused = asked.cli("node", "forget", lost.name, check=False)
    assert refused.returncode == 1 and "is up" in refused.stderr

    lost.kill()
    eventually("it is down", lambda: asked.get(f"/v1/nodes/{lost.name}")["status"] == "down", 20)
    eventually("its tasks are replaced", lambda: not on(hello, lost), 20)
    asked.cli("node", "forget", lost.name)

    assert lost.name not in {node["name"] for node in asked.get("/v1/nodes")["items"]}
    lost.start(hello.addresses)
    hello.wait_formed(30)


# Exclusive services


def deploy_single(cluster: Cluster, folder: Path) -> dict:
    """A task that writes the time into a file of its own ten times a second; all hosts share the machine's clock."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    beat = 'trap "" TERM; while :; do read up rest </proc/uptime; echo $$up >>/beats/$$SWARMLET_TASK; sleep 0.1; done'
    cluster.agents[0].cli("deploy", "single", str(_compose(folder, beat)))
    (task,) = cluster.tasks(ONLY)
    eventually("it beats", lambda: beats(folder, task["id"]))
    return task


def _compose(folder: Path, beat: str) -> Path:
    file = folder.parent / "single.yaml"
    file.write_text(
        "services:\n  only:\n    image: swarmlet-demo:latest\n"
        f"    command:\n      - sh\n      - -c\n      - '{beat}'\n"
        f"    volumes: ['{folder}:/beats']\n    stop_grace_period: 1s\n    x-swarmlet: {{exclusive: true}}\n"
    )
    return file


def beats(folder: Path, task: str) -> list[float]:
    file = folder / task
    return [float(line) for line in file.read_text().splitlines() if line] if file.exists() else []


def host_of(cluster: Cluster, task: dict) -> Agent:
    return next(agent for agent in cluster.agents if agent.name == task["node"])


def replacement(cluster: Cluster, folder: Path, asked: Agent, before: dict) -> dict:
    def found() -> dict | None:
        others = [task for task in cluster.tasks(ONLY, asked=asked) if task["id"] != before["id"]]
        return others[0] if others and beats(folder, others[0]["id"]) else None

    new: dict = eventually("another one runs", found, 60)
    return new


def test_an_exclusive_task_that_is_cut_off_ends_before_another_one_starts(hello: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "beats"
    before = deploy_single(hello, folder)
    isolated = host_of(hello, before)
    asked = next(agent for agent in hello.agents if agent is not isolated)
    last_known = beats(folder, before["id"])[-1]

    isolated.host.cut()
    try:
        new = replacement(hello, folder, asked, before)
        ended, begun = beats(folder, before["id"])[-1], beats(folder, new["id"])[0]
    finally:
        isolated.host.heal()
    hello.wait_formed(30)

    assert ended > last_known, "it went on for a while"
    assert ended + BEAT_S < begun
    assert begun - last_known < LEASE_S + MARGIN_S + 15
    eventually("one is left", lambda: [task["id"] for task in hello.tasks(ONLY)] == [new["id"]])
    assert max(beats(folder, before["id"])) < begun, "and the first one never came back"
    asked.cli("remove", "single")


def test_an_exclusive_task_whose_agent_was_killed_ends_too(hello: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "beats"
    before = deploy_single(hello, folder)
    killed = host_of(hello, before)
    asked = next(agent for agent in hello.agents if agent is not killed)

    killed.kill()
    killed_at = float(Path("/proc/uptime").read_text().split()[0])
    new = replacement(hello, folder, asked, before)

    ended, begun = beats(folder, before["id"])[-1], beats(folder, new["id"])[0]
    assert killed_at < ended < killed_at + LEASE_S + KILL_S
    assert ended + BEAT_S < begun
    killed.start(hello.addresses)
    hello.wait_formed(30)
    asked.cli("remove", "single")


def test_an_exclusive_service_is_updated_and_drained_one_after_the_other(hello: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "beats"
    first = deploy_single(hello, folder)
    asked = hello.agents[0]

    asked.cli("node", "drain", first["node"])
    second = replacement(hello, folder, asked, first)
    file = folder.parent / "single.yaml"
    file.write_text(file.read_text().replace("sleep 0.1", "sleep 0.10"))
    asked.cli("deploy", "single", str(file))
    (third,) = hello.tasks(ONLY)
    eventually("the last one beats", lambda: beats(folder, third["id"]))

    order = [beats(folder, task["id"]) for task in (first, second, third)]
    assert len({task["id"] for task in (first, second, third)}) == 3
    assert order[0][-1] < order[1][0] <= order[1][-1] < order[2][0]
    asked.cli("remove", "single")
