"""The main job as one readable transcript with measured times."""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from lab.cluster import EXAMPLE, Agent, ApiFailure, Cluster, ask, eventually, kill_container
from lab.hosts import why_no_namespaces
from lab.workspace import Workspace, sweep

STACK, WEB, REPLICAS = "hello", "hello.web", 6
SPREAD_REQUESTS_MAX = 200


def say(text: str) -> None:
    print(text, flush=True)


def timed(what: str, action: Callable[[], object]) -> None:
    started = time.monotonic()
    action()
    say(f"   {time.monotonic() - started:6.2f} s  {what}")


def ready_tasks(cluster: Cluster, asked: Agent) -> list[dict[str, object]]:
    return [task for task in cluster.tasks(WEB, asked=asked) if task["ready"]]


def all_tasks_answer(cluster: Cluster, address: str, asked: Agent) -> set[str]:
    """Ask one host's port until each of the service's tasks has answered."""
    wanted = {str(task["id"]) for task in ready_tasks(cluster, asked)}
    seen: set[str] = set()
    for _ in range(SPREAD_REQUESTS_MAX):
        seen.add(ask(address).split()[0])
        if seen >= wanted:
            break
    missing = wanted - seen
    if missing:
        raise AssertionError(f"{address}: tasks {missing} never answered {SPREAD_REQUESTS_MAX} requests")
    return seen


def write_accepted(asked: Agent) -> bool:
    """Whether a write goes through right now."""
    try:
        asked.request("PATCH", f"/v1/services/{WEB}", {"replicas": 8}, timeout_s=2.0)
    except ApiFailure:
        return False
    return True


def show_the_main_job(cluster: Cluster) -> None:
    first = cluster.agents[0]
    say("1. Three hosts, an agent on each, started from configs/node1.toml … node3.toml")
    timed("all three agree on a leader and are up", cluster.start)
    say(first.cli("nodes").stdout)

    say("2. swarmlet deploy hello docs/examples/hello/compose.yaml")
    timed("both services healthy, seven containers on three hosts", lambda: first.cli("deploy", STACK, str(EXAMPLE)))
    say(first.cli("tasks", STACK).stdout)

    say("3. Every host's port 8080 answers from all six tasks")
    for agent in cluster.agents:
        timed(
            f"{agent.host.address}:8080 answered from {REPLICAS} tasks",
            lambda agent=agent: all_tasks_answer(cluster, agent.host.address, first),  # type: ignore[misc]
        )

    say("4. A container is killed")
    victim = ready_tasks(cluster, first)[0]
    owner = next(agent for agent in cluster.agents if agent.name == victim["node"])

    def came_back() -> bool:
        task = first.get(f"/v1/tasks/{victim['id']}")
        return bool(task["ready"] and task["restarts"] >= 1)

    kill_container(owner, str(victim["id"]))
    timed(f"task {victim['id']} runs again on {owner.name}", lambda: eventually("it comes back", came_back))

    say("5. A host loses its power")
    leader = cluster.leader()
    lost = next(agent for agent in cluster.agents if agent is not leader)
    rest = [agent for agent in cluster.agents if agent is not lost]
    lost.kill()
    lost.host.power_off()

    def replaced() -> bool:
        return len([task for task in ready_tasks(cluster, leader) if task["node"] != lost.name]) == REPLICAS

    timed(f"{lost.name} is gone; all six tasks run on the other two", lambda: eventually("replaced", replaced, 20))
    for agent in rest:
        all_tasks_answer(cluster, agent.host.address, leader)
    say(f"            {' and '.join(agent.host.address for agent in rest)} answer from all of them")

    say("6. It returns and is used again")
    lost.host.power_on()
    lost.start(cluster.addresses)

    def returned() -> bool:
        return any(node["name"] == lost.name and node["status"] == "up" for node in leader.get("/v1/nodes")["items"])

    timed(f"{lost.name} is back", lambda: eventually("it is up again", returned, 20))
    leader.cli("scale", WEB, "9")

    def used() -> bool:
        ready = ready_tasks(cluster, leader)
        return len(ready) == 9 and any(task["node"] == lost.name for task in ready)

    timed("scaled to nine: it runs the new ones", lambda: eventually("it is used", used, 20))

    say("7. The leader's agent is killed")
    leader = cluster.leader()
    survivor = next(agent for agent in cluster.agents if agent is not leader)
    leader.kill()
    timed("another leads and has accepted a write", lambda: eventually("a write", lambda: write_accepted(survivor)))
    leader.start(cluster.addresses)
    timed(f"{leader.name}'s agent is back, its containers never stopped", lambda: cluster.wait_formed(30))
    say(survivor.cli("status").stdout)


def show_how_to_play(cluster: Cluster) -> None:
    first = cluster.agents[0]
    say("It stays up. Try:")
    say(f"  export SWARMLET_ADDR=unix://{first.socket} PATH={sys.prefix}/bin:$PATH")
    say("  swarmlet status; swarmlet tasks; swarmlet logs -f hello.counter; swarmlet events")
    say(f"  curl http://{first.host.address}:8080/")
    say("Take it down with: scripts/demo --clean")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--runtime", choices=("podman", "process"), default="podman", help="what runs the containers")
    parser.add_argument("--keep", action="store_true", help="leave the cluster up to play with")
    parser.add_argument("--clean", action="store_true", help="take down what --keep left")
    options = parser.parse_args()
    if options.clean:
        for path in sweep(everything=True):
            say(f"removed {path}")
        return 0
    if options.runtime == "podman" and (reason := why_no_namespaces()):
        say(f"demo: {reason}; or try: scripts/demo --runtime process")
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    workspace = Workspace.create()
    kept = False
    try:
        cluster = Cluster(workspace, 3, options.runtime)
        show_the_main_job(cluster)
        if options.keep:
            kept = True
            workspace.own(0)
            show_how_to_play(cluster)
    except KeyboardInterrupt:
        say("demo: interrupted; cleaning up")
        return 130
    finally:
        if not kept:
            # A second Ctrl-C must not leave half of it behind.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            workspace.close()
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
