"""Real agents on loopback with the process runtime: what users and programs meet at the command and the API."""

import base64
import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import EXAMPLE, SWARMLET, ApiFailure, Cluster, ask, cluster, eventually, kill_container

WEB = "hello.web"
REPLICAS = 6


@pytest.fixture(scope="module")
def hello() -> Iterator[Cluster]:
    with cluster(3, "process") as made:
        made.start()
        made.agents[0].cli("deploy", "hello", str(EXAMPLE))
        yield made
        assert made.stalls() == [], "no agent's event loop may stall"


@pytest.fixture(autouse=True)
def restored(request: pytest.FixtureRequest) -> None:
    """Each test finds three living agents and the stack as declared."""
    if "hello" not in request.fixturenames:
        return
    made: Cluster = request.getfixturevalue("hello")
    for agent in made.agents:
        if agent not in made.alive():
            agent.start(made.addresses)
    made.wait_formed(30)
    made.wait_converged("hello")


def over_tcp(address: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(address, 8420, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def events_from(made: Cluster, revision: int, count: int) -> list[dict[str, Any]]:
    """The first agreed changes after a revision, as the event stream replays them."""
    connection = http.client.HTTPConnection(made.agents[1].host.address, 8420, timeout=5)
    try:
        connection.request("GET", "/v1/events", headers={"Last-Event-ID": str(revision)})
        response = connection.getresponse()
        found: list[dict[str, Any]] = []
        while len(found) < count:
            line = response.readline().decode()
            if line.startswith("data: ") and json.loads(line[6:])["kind"] in ("put", "delete"):
                found.append(json.loads(line[6:]))
        return found
    finally:
        connection.close()


def test_every_nodes_port_answers_from_all_tasks(hello: Cluster) -> None:
    wanted = {task["id"] for task in hello.tasks(WEB) if task["ready"]}
    assert len(wanted) == REPLICAS

    for address in hello.addresses:
        answered = {ask(address).split()[0] for _ in range(40)}
        assert answered == wanted


def test_a_killed_process_comes_back_as_the_same_task(hello: Cluster) -> None:
    victim = hello.tasks(WEB)[0]
    owner = next(agent for agent in hello.agents if agent.name == victim["node"])

    kill_container(owner, victim["id"])

    def back() -> bool:
        task = owner.get(f"/v1/tasks/{victim['id']}")
        return bool(task["ready"] and task["restarts"] == victim["restarts"] + 1)

    eventually("it is ready again", back)


def test_an_agent_that_crashes_adopts_its_processes(hello: Cluster) -> None:
    agent = hello.agents[2]
    tasks = {task["id"] for task in hello.tasks() if task["node"] == agent.name}

    agent.kill()
    agent.start(hello.addresses)

    hello.wait_formed(30)
    hello.wait_converged("hello")
    kept = [task for task in hello.tasks() if task["id"] in tasks]
    assert all(task["restarts"] == 0 for task in kept if task["node"] == agent.name)


def test_a_write_through_any_peer_is_read_everywhere(hello: Cluster) -> None:
    for replicas, agent in zip((7, 5, 6), hello.agents, strict=True):
        agent.request("PATCH", f"/v1/services/{WEB}", {"replicas": replicas})
        for other in hello.agents:
            assert other.get(f"/v1/services/{WEB}?consistency=linearizable")["wanted"] == replicas


def test_the_event_stream_resumes_without_a_gap(hello: Cluster) -> None:
    start = hello.agents[0].get("/v1/status")["revision"]
    for replicas in (7, 6):
        hello.agents[0].request("PATCH", f"/v1/services/{WEB}", {"replicas": replicas})
    hello.wait_converged("hello")

    once = events_from(hello, start, 4)
    middle = once[1]["revision"]
    again = events_from(hello, middle, 1)

    assert [event["revision"] for event in once] == sorted(event["revision"] for event in once)
    assert once[0]["revision"] == start + 1
    assert again[0]["revision"] == middle + 1


def test_a_host_with_another_address_is_the_same_node(hello: Cluster) -> None:
    agent = hello.agents[2]
    node_id = agent.get("/v1/status")["node_id"]
    agent.stop()

    moved = ("address=127.0.0.33:8421", "api.listen=127.0.0.33:8420", "proxy.listen_address=127.0.0.33")
    agent.start(hello.addresses, *(word for setting in moved for word in ("--set", setting)))

    def known_there() -> bool:
        nodes = hello.agents[0].get("/v1/nodes")["items"]
        found = next(node for node in nodes if node["id"] == node_id)
        return found["address"] == "127.0.0.33:8421" and found["liveness"] == "alive" and found["role"] != "none"

    eventually("it is known at its new address, in its old role", known_there, 20)
    assert len(hello.agents[0].get("/v1/nodes")["items"]) == 3
    agent.stop()


def test_a_cold_start_of_all_agents_brings_everything_back(hello: Cluster) -> None:
    before = {task["id"] for task in hello.tasks()}
    for agent in hello.agents:
        agent.kill()
    for agent in hello.agents:
        agent.start(hello.addresses)

    hello.wait_formed(30)
    hello.wait_converged("hello")

    assert {task["id"] for task in hello.tasks()} == before
    assert all(task["restarts"] == 0 for task in hello.tasks())


def test_without_a_token_web_pages_and_foreign_names_are_refused(hello: Cluster) -> None:
    address = hello.agents[0].host.address

    assert over_tcp(address, "GET", "/v1/status", {})[0] == 200
    assert over_tcp(address, "GET", "/v1/status", {"Host": "evil.example"})[0] == 403
    status, problem = over_tcp(address, "DELETE", "/v1/stacks/hello", {"Origin": "http://evil.example"})
    assert (status, problem["status"]) == (403, 403)


def test_with_a_token_file_requests_over_tcp_need_the_token(hello: Cluster, tmp_path: Path) -> None:
    agent = hello.agents[1]
    token_file = tmp_path / "api.token"
    token_file.touch(mode=0o600)
    token_file.write_text("a-token-that-is-long-enough\n")
    agent.stop()
    agent.start(hello.addresses, "--set", f"api.token_file={token_file}")
    eventually("the agent answers", lambda: agent.get("/v1/status"))

    address = agent.host.address
    assert over_tcp(address, "GET", "/v1/status", {})[0] == 401
    assert over_tcp(address, "GET", "/v1/status", {"Authorization": "Bearer wrong"})[0] == 401
    assert over_tcp(address, "GET", "/v1/status", {"Authorization": "Bearer a-token-that-is-long-enough"})[0] == 200
    agent.stop()


def test_errors_are_problem_documents(hello: Cluster) -> None:
    agent = hello.agents[0]
    for path in ("/v1/stacks/none", "/v1/services/no.ne", "/v1/tasks/none", "/v1/nodes/none", "/v1/nothing"):
        with pytest.raises(ApiFailure) as raised:
            agent.get(path)
        assert raised.value.status == 404
    with pytest.raises(ApiFailure, match='"line":3,"column":5'):
        hello.deploy("bad", "services:\n  web:\n    imag: x\n")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("image: nowhere:1\n    command: [x]", "nowhere"),
        ("image: scratch\n    command: [sh, -c, 'exit 3']", "3"),
        ("image: scratch\n    command: [x]\n    deploy: {resources: {reservations: {memory: 900g}}}", "node1: needs"),
    ],
    ids=["missing image", "crash loop", "does not fit"],
)
def test_a_deploy_that_cant_succeed_says_why_and_fails(hello: Cluster, tmp_path: Path, body: str, reason: str) -> None:
    compose = tmp_path / "compose.yaml"
    compose.write_text(f"services:\n  app:\n    {body}\n")

    done = hello.agents[0].cli("deploy", "--timeout", "40", "failing", str(compose), check=False)

    assert done.returncode == 1
    assert reason in done.stderr
    hello.agents[0].cli("remove", "failing")


def test_several_files_are_deployed_as_one_stack(hello: Cluster, tmp_path: Path) -> None:
    files = {
        "compose.yaml": "include: [more/more.yaml]\nservices:\n  app:\n    image: scratch\n"
        "    command: [sh, -c, 'echo $$A $$B; exec sleep 600']\n    environment: {A: one, B: two}\n",
        "live.yaml": "services:\n  app: {environment: [B=three]}\n"
        "  debug: {extends: {service: app, file: compose.yaml}, profiles: [debug]}\n",
        "more/more.yaml": "services:\n  other:\n    image: scratch\n    env_file: a.env\n"
        "    command: [sh, -c, 'echo $$X; exec sleep 600']\n",
        "more/a.env": "X=from $HOME_OF_X\n",
        ".env": "HOME_OF_X=more\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    merged = ["-f", str(tmp_path / "compose.yaml"), "-f", str(tmp_path / "live.yaml"), "merged"]
    agent = hello.agents[1]

    agent.cli("deploy", "--profile", "debug", *merged)

    printed = {name: agent.cli("logs", f"merged.{name}").stdout.split("  ")[-1].strip() for name in ("app", "other")}
    assert printed == {"app": "one three", "other": "from more"}
    services = {task["service"] for task in hello.tasks() if task["service"].startswith("merged.")}
    assert services == {"merged.app", "merged.debug", "merged.other"}
    again = agent.cli("deploy", *merged)
    assert "changed: merged.debug" in again.stdout
    agent.cli("remove", "merged")


def test_a_secret_is_shown_nowhere(hello: Cluster, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush-hush-hush")
    shown = ("hush-hush-hush", base64.b64encode(b"hush-hush-hush").decode())
    compose = tmp_path / "compose.yaml"
    compose.write_text("services: {app: {image: scratch, command: [x], secrets: [key]}}\nsecrets: {key: {file: key}}\n")
    agent = hello.agents[0]
    start = agent.get("/v1/status")["revision"]

    done = agent.cli("deploy", "--detach", "hidden", str(compose))

    def refused() -> bool:
        return "can't give a process configs and secrets" in json.dumps(agent.get("/v1/services?stack=hidden"))

    eventually("its node says that a process can have none", refused)
    told = [done.stdout + done.stderr, *(json.dumps(event) for event in events_from(hello, start, 2))]
    told += [json.dumps(agent.get(f"/v1/{path}")) for path in ("stacks", "services", "tasks?all=1", "kv", "status")]
    told += [each.read_text() for each in hello.workspace.path.rglob("*.log")]
    assert len(told) > 10
    for text in told:
        assert not any(secret in text for secret in shown)
    agent.cli("remove", "hidden")


def test_every_listing_prints_json(hello: Cluster) -> None:
    for command in (["status"], ["nodes"], ["voters"], ["stacks"], ["services"], ["tasks", "--all"]):
        assert json.loads(hello.agents[1].cli(*command, "--output", "json").stdout)


def test_people_choose_the_voters_and_give_the_choice_back(hello: Cluster) -> None:
    first, *others = hello.agents
    names = {agent.name for agent in others}

    def voters() -> set[str]:
        return {one["name"] for one in first.get("/v1/voters")["items"] if one["votes"]}

    done = first.cli("voters", "--set", ",".join(names))
    assert "no more failures than 1" in done.stderr
    assert voters() == names
    eventually("one of them leads", lambda: first.get("/v1/voters")["leader"] in names)
    first.cli("scale", WEB, str(REPLICAS))

    refused = first.cli("voters", "--set", "nobody", check=False)
    assert refused.returncode == 1 and "no node has the name or id 'nobody'" in refused.stderr

    first.cli("voters", "--auto")
    eventually("all three vote again", lambda: voters() == {*names, first.name})
    eventually("all have the log", lambda: all(one["lag"] == 0 for one in first.get("/v1/voters")["items"]))


def test_logs_are_read_through_another_peer(hello: Cluster) -> None:
    (counter,) = hello.tasks("hello.counter")
    other = next(agent for agent in hello.agents if agent.name != counter["node"])

    assert "count 1 on" in other.cli("logs", "hello.counter").stdout
    line = json.loads(other.cli("logs", "--tail", "1", "--output", "json", counter["id"]).stdout)
    assert line["node"] == counter["node"]


def agent_refuses(tmp_path: Path, text: str) -> str:
    """Start an agent that must not start: exit status 2, one line, nothing written."""
    config = tmp_path / "node.toml"
    config.write_text(text)
    settings = (f"data_dir={tmp_path}/data", "api.listen=127.0.0.9:8420")
    words = [word for setting in settings for word in ("--set", setting)]
    argv = [str(SWARMLET), "agent", "--config", str(config), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "node.toml" in done.stderr
    assert not (tmp_path / "data").exists()
    return done.stderr


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('name = "a"\naddress = "127.0.0.9:8421"\njion = []', "jion"),
        ('name = "a"\naddress = "127.0.0.9:8421"\nbootstrap = "yes"', "bootstrap"),
        ('name = "a"\naddress = "203.0.113.9:8421"\nkey_file = "k"', "address"),
        ('name = "a"\naddress = "10.1.2.3:8421"', "keygen"),
        ('name = "a"\naddress = "127.0.0.9:8421"\nkey_file = "/no/such.key"', "key_file"),
    ],
    ids=["unknown key", "wrong type", "not this host's", "open without a key", "no such key file"],
)
def test_a_configuration_mistake_is_one_line_and_writes_nothing(tmp_path: Path, text: str, named: str) -> None:
    assert named in agent_refuses(tmp_path, text)


def test_the_example_configuration_is_good(tmp_path: Path) -> None:
    example = subprocess.run(
        [str(SWARMLET), "config", "example"], capture_output=True, text=True, check=True, timeout=30
    )

    assert "bootstrap_expect" in example.stdout
    config = tmp_path / "node.toml"
    config.write_text(
        f'name = "one"\naddress = "127.0.0.77:8421"\ndata_dir = "{tmp_path}/data"\n[api]\nlisten = "127.0.0.77:8420"\n'
    )
    done = subprocess.run(
        [str(SWARMLET), "config", "check", str(config)], capture_output=True, text=True, check=True, timeout=30
    )
    assert "good" in done.stdout
    assert not (tmp_path / "data").exists()
