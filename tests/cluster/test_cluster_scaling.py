"""Autoscaling on three hosts: services burn processors, keep memory, or say by a metric how much there is to do."""

import json
from pathlib import Path

import pytest

from lab.cluster import Cluster, eventually

pytestmark = pytest.mark.cluster

BURN = (
    "trap 'exit 0' TERM; while :; do if [ -e /load/busy ]; then i=0; "
    "while [ $$i -lt 20000 ]; do i=$$((i + 1)); done; else sleep 0.2; fi; done"
)
KEEP = (
    "trap 'exit 0' TERM; while :; do if [ -e /load/busy ]; then case $$x in '') "
    "x=$$(busybox head -c 8000000 /dev/zero | busybox tr '\\0' x);; esac; else x=; fi; sleep 0.2; done"
)
STACK = """\
services:
  burner:
    image: swarmlet-demo:latest
    pull_policy: never
    command: ["sh", "-c", "{burn}"]
    stop_grace_period: 0s
    volumes: ["{load}:/load:ro"]
    deploy: {{resources: {{limits: {{cpus: "0.1"}}}}}}
    x-swarmlet:
      autoscale: {{max: 3, cpu: 50%, scale_down: {{stabilization: 5s}}}}
  keeper:
    image: swarmlet-demo:latest
    pull_policy: never
    command: ["sh", "-c", "{keep}"]
    stop_grace_period: 0s
    volumes: ["{load}:/load:ro"]
    deploy: {{resources: {{reservations: {{memory: 8m}}}}}}
    x-swarmlet:
      autoscale: {{max: 3, memory: 60%, scale_down: {{stabilization: 5s}}}}
  worker:
    image: swarmlet-demo:latest
    pull_policy: never
    command: ["httpd", "-f", "-p", "9100", "-h", "/load"]
    stop_grace_period: 0s
    volumes: ["{load}:/load:ro"]
    x-swarmlet:
      autoscale:
        max: 3
        metrics: [prometheus: {{port: 9100, name: jobs_waiting, labels: {{queue: mail}}, target_average: 10}}]
        scale_down: {{stabilization: 5s}}
"""
SERVICES = ("load.burner", "load.keeper", "load.worker")


class Load:
    """What the tasks of all hosts see of how much there is to do: the hosts share this machine's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)

    def set(self, busy: bool, jobs: int) -> None:
        new = self.folder / "metrics.new"
        series = (f'jobs_waiting{{queue="mail"}} {jobs}', 'jobs_waiting{queue="news"} 99')
        new.write_text("\n".join(("# TYPE jobs_waiting gauge", *series, "")))
        new.replace(self.folder / "metrics")
        flag = self.folder / "busy"
        flag.touch() if busy else flag.unlink(missing_ok=True)


def running(cluster: Cluster) -> list[int]:
    tasks = [task for task in cluster.tasks() if task["ready"]]
    return [sum(task["service"] == service for task in tasks) for service in SERVICES]


def test_services_grow_with_their_load_keep_their_size_through_a_lost_leader_and_shrink_again(
    three_hosts: Cluster, tmp_path: Path
) -> None:
    load = Load(tmp_path)
    load.set(busy=True, jobs=30)
    compose = tmp_path / "compose.yaml"
    compose.write_text(STACK.format(burn=BURN, keep=KEEP.replace("\\", "\\\\"), load=tmp_path))
    first = three_hosts.agents[0]

    first.cli("deploy", "load", str(compose))
    eventually("all have grown to their max", lambda: running(three_hosts) == [3, 3, 3], 90)
    burner, keeper, worker = (json.loads(first.cli("explain", each, "-o", "json").stdout) for each in SERVICES)
    assert {change["after"] for change in burner["changes"]} >= {3}
    assert all(change["why"].startswith("cpu ") for change in burner["changes"])
    assert all(change["why"].startswith("memory ") for change in keeper["changes"])
    assert worker["changes"][-1]["why"].startswith("jobs_waiting 30 on average over 1 task, target 10 -> 3 replicas")
    assert "changed: nothing" in first.cli("deploy", "load", str(compose)).stdout
    refused = first.cli("scale", "load.burner", "1", check=False)
    assert refused.returncode == 1 and "change 'min' and 'max'" in refused.stderr

    leader = three_hosts.leader()
    leader.kill()
    survivor = three_hosts.alive()[0]
    eventually("another leads", lambda: survivor.get("/v1/status")["leader"] not in (None, leader.name), 15)
    assert [survivor.get(f"/v1/services/{each}")["wanted"] for each in SERVICES] == [3, 3, 3]
    leader.start(three_hosts.addresses)
    three_hosts.wait_formed(30)
    load.set(busy=False, jobs=1)

    eventually("all have shrunk to their min", lambda: running(three_hosts) == [1, 1, 1], 90)
    shown = first.cli("explain", "load.worker").stdout
    assert "load.worker: 1 task, between 1 and 3" in shown
    assert "from 3 to 1: jobs_waiting 1 on average" in shown or "to 1: jobs_waiting" in shown
    measured = first.cli("top", "load").stdout
    assert "MiB" in measured and "load.burner" in measured
    first.cli("remove", "load")
