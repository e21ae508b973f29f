"""Jobs on three hosts with real containers: completions, retries, deadline, schedule, a lost host, logs, cancelling."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import Agent, Cluster, eventually
from lab.hosts import NamespaceHost
from lab.workspace import run

pytestmark = pytest.mark.cluster

HEAD = """services:
  work:
    image: swarmlet-demo:latest
    pull_policy: never
    stop_grace_period: 1s
    init: false
"""


@pytest.fixture(autouse=True)
def restored(three_hosts: Cluster) -> Iterator[None]:
    for agent in three_hosts.agents:
        if agent not in three_hosts.alive():
            agent.start(three_hosts.addresses)
    three_hosts.wait_formed(30)
    yield
    for stack in three_hosts.alive()[0].get("/v1/stacks")["items"]:
        three_hosts.alive()[0].cli("remove", stack["name"])


def deploy(
    agent: Agent, folder: Path, script: str, job: dict[str, Any], *, check: bool = True, detach: bool = False
) -> Any:
    """A stack `batch` with a job `work` that runs a shell script."""
    compose = folder / "compose.yaml"
    command = json.dumps(["sh", "-c", script.replace("$", "$$")])
    compose.write_text(f"{HEAD}    command: {command}\n    x-swarmlet: {{job: {json.dumps(job)}}}\n")
    return agent.cli("deploy", *(["--detach"] if detach else []), "batch", str(compose), check=check)


def the_job(agent: Agent) -> dict[str, Any]:
    view: dict[str, Any] = agent.get("/v1/jobs/batch.work")
    return view


def tasks_of(agent: Agent, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = agent.get(f"/v1/runs/{run_id}")["tasks"]
    return found


def containers(cluster: Cluster) -> list[str]:
    """Of jobs, that run."""
    found: list[str] = []
    for agent in cluster.alive():
        assert isinstance(agent.host, NamespaceHost)
        found += run(*agent.host.podman(), "ps", "-q", "--filter", "label=io.swarmlet.service=batch.work").split()
    return found


def test_completions_are_reached_in_parallel_and_their_logs_outlive_them(three_hosts: Cluster, tmp_path: Path) -> None:
    agent, other, _ = three_hosts.agents

    done = deploy(agent, tmp_path, "echo did $SWARMLET_SLOT; sleep 2", {"completions": 6, "parallelism": 3})

    assert "healthy after" in done.stdout
    (finished,) = the_job(other)["runs"]
    assert (finished["state"], finished["succeeded"], finished["failed"]) == ("succeeded", 6, 0)
    assert finished["ended_at"] - finished["started_at"] >= 4, "two waves of three"
    assert {task["node"] for task in tasks_of(other, finished["id"])} == {each.name for each in three_hosts.agents}
    assert containers(three_hosts) == []
    lines = other.cli("job", "logs", "batch.work").stdout.splitlines()
    assert sorted(line.partition("  ")[2] for line in lines) == [f"did {slot}" for slot in range(1, 7)]
    assert finished["id"] in other.cli("job", "list").stdout
    again = other.cli("job", "run", "--wait", "batch.work")
    assert "run 2" in again.stdout and "has succeeded" in again.stdout


def test_a_completion_that_fails_is_tried_again_and_its_run_fails_in_the_end(
    three_hosts: Cluster, tmp_path: Path
) -> None:
    agent = three_hosts.agents[0]
    late = int(time.time()) + 6
    deploy(agent, tmp_path, f"[ $(date +%s) -ge {late} ]", {"backoff": "1s", "retries": 5})
    (finished,) = the_job(agent)["runs"]
    assert finished["state"] == "succeeded" and finished["failed"] >= 1

    failing = deploy(agent, tmp_path, "echo no >&2; exit 3", {"backoff": "100ms", "retries": 1}, check=False)
    assert failing.returncode == 1
    assert "completion 1 failed 2 times, at last: exit status 3 on " in failing.stderr
    by_hand = agent.cli("job", "run", "--wait", "batch.work", check=False)
    assert by_hand.returncode == 1 and "exit status 3" in by_hand.stderr
    assert [line.partition("  ")[2] for line in agent.cli("job", "logs", "batch.work").stderr.splitlines()] == [
        "no"
    ] * 2


def test_a_run_is_stopped_at_its_deadline(three_hosts: Cluster, tmp_path: Path) -> None:
    failing = deploy(three_hosts.agents[0], tmp_path, "sleep 600", {"completions": 3, "deadline": "3s"}, check=False)

    assert failing.returncode == 1 and "deadline: not over after 3 s" in failing.stderr
    eventually("its tasks are stopped", lambda: containers(three_hosts) == [])


def test_a_cancelled_run_is_over_and_nothing_of_it_is_left(three_hosts: Cluster, tmp_path: Path) -> None:
    agent, other, _ = three_hosts.agents
    deploy(agent, tmp_path, "sleep 600", {"completions": 2}, detach=True)
    eventually("both run", lambda: len(containers(three_hosts)) == 2)
    busy = agent.cli("job", "run", "batch.work", check=False)
    assert busy.returncode == 1 and "its policy forbids another one beside it" in busy.stderr

    other.cli("job", "cancel", "batch.work")

    eventually("its tasks are stopped", lambda: containers(three_hosts) == [])
    (finished,) = the_job(agent)["runs"]
    assert (finished["state"], finished["reason"]) == ("cancelled", "cancelled on request")


def test_a_schedule_runs_each_moment_once_through_a_change_of_the_leader(three_hosts: Cluster, tmp_path: Path) -> None:
    leader = three_hosts.leader()
    other = next(agent for agent in three_hosts.agents if agent is not leader)
    done = deploy(leader, tmp_path, "echo tick", {"schedule": "*/5 * * * * *"})
    assert "healthy after" in done.stdout, "it is as declared although it has not run yet"

    def succeeded() -> list[float]:
        return [each["moment"] for each in the_job(other)["runs"] if each["state"] == "succeeded"]

    eventually("it has run", succeeded, 20)
    leader.kill()
    eventually("it has run three times", lambda: len(succeeded()) >= 3, 40)

    moments = [each["moment"] for each in the_job(other)["runs"]]
    assert len(moments) == len(set(moments)) and all(moment % 5 == 0 for moment in moments)
    job = the_job(other)
    spanned = (max(moments) - min(moments)) / 5 + 1
    assert len(moments) + job["missed"] + job["skipped"] >= spanned, "what was not run is stated"


@pytest.mark.parametrize(
    ("policy", "states"), [("replace", {"cancelled", "running"}), ("allow", {"running"}), ("forbid", {"running"})]
)
def test_a_moment_that_comes_while_a_run_is_not_over(
    three_hosts: Cluster, tmp_path: Path, policy: str, states: set[str]
) -> None:
    agent = three_hosts.agents[1]
    job = {"schedule": "*/5 * * * * *", "concurrency": policy}
    deploy(agent, tmp_path, "trap 'exit 0' TERM; while :; do sleep 0.2; done", job)

    def shown() -> bool:
        runs, found = the_job(agent)["runs"], the_job(agent)
        two = len(runs) >= 2 or policy == "forbid"
        return two and found["skipped"] >= (policy == "forbid") and {run["state"] for run in runs} == states

    eventually(f"what {policy} says", shown, 40)
    running = len(containers(three_hosts))
    assert running >= 2 if policy == "allow" else running <= 1


def test_a_run_ends_although_its_leaders_host_is_lost(three_hosts: Cluster, tmp_path: Path) -> None:
    leader = three_hosts.leader()
    other = next(agent for agent in three_hosts.agents if agent is not leader)
    deploy(other, tmp_path, "sleep 8; echo done", {"completions": 3, "retries": 0}, detach=True)
    eventually("each host has its task", lambda: len(containers(three_hosts)) == 3)

    leader.kill()
    leader.host.power_off()

    eventually("the run has succeeded", lambda: the_job(other)["runs"][0]["state"] == "succeeded", 40)
    (finished,) = the_job(other)["runs"]
    assert (finished["succeeded"], finished["failed"], finished["lost"]) == (3, 0, 1)
    leader.host.power_on()
