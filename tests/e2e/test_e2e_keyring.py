"""Three real agents change their cluster's key while they run, one of them away for part of it."""

import json
from collections.abc import Iterator

import pytest

from lab.cluster import Agent, Cluster, cluster, eventually


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with cluster(3, "process") as made:
        made.start()
        yield made
        assert made.stalls() == [], "no agent's event loop may stall"


def rings(agent: Agent) -> dict[str, list[str]]:
    """By node name, the ids of the keys it has; the one that it seals with first."""
    return {node["node"]: node["keys"] for node in agent.get("/v1/keyring")["nodes"]}


def liveness(asked: Agent, agent: Agent) -> str:
    return str(asked.get(f"/v1/nodes/{agent.name}")["liveness"])


def counted(agent: Agent, name: str) -> int:
    lines = agent.get("/metrics").splitlines()
    return int(
        float(next(line for line in lines if line.startswith("swarmlet_events_total") and name in line).split()[-1])
    )


def test_a_key_is_changed_with_one_agent_away_and_all_are_back_without_a_restart(three: Cluster) -> None:
    one, two, away = three.agents
    (old,) = rings(one)[one.name]
    away.kill()
    eventually("it is seen as dead", lambda: liveness(one, away) == "dead")

    new = json.loads(one.cli("keyring", "install", "--output", "json").stdout)["key"]
    assert f"key {new} is in use on 2 nodes" in two.cli("keyring", "use", new).stdout
    refused = one.cli("keyring", "remove", old, check=False)
    assert (refused.returncode, f"{away.name} is away" in refused.stderr) == (1, True)
    away.start(three.addresses)
    eventually("it has caught up", lambda: rings(two)[away.name] == [new, old], 20)
    three.wait_formed(20)
    two.cli("keyring", "remove", old)

    assert "PROBLEM" in one.cli("keyring", "list").stdout
    assert rings(away) == {agent.name: [new] for agent in three.agents}
    assert all(len(agent.key_file.read_text().splitlines()) == 3 for agent in three.agents)
    assert one.get("/v1/nodes?consistency=linearizable")["items"]


def test_an_agent_whose_key_is_gone_says_what_to_do_and_is_back_when_it_is_done(three: Cluster) -> None:
    one, _, away = three.agents
    current = one.key_file.read_text()
    away.stop()
    away.give_key("b" * 43 + "=\n")

    away.start(three.addresses)
    eventually("it says so", lambda: any("copy the key file" in each for each in away.get("/v1/status")["problems"]))
    assert counted(one, 'name="inbound_strangers"') > 0
    away.stop()
    away.give_key(current)
    away.start(three.addresses)

    three.wait_formed(20)
