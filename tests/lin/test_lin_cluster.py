"""A real cluster of three agents, from which clients must not be able to tell that it is not one correct store.

Agents are killed, stopped and continued, and (where root can make network namespaces) cut off, one after the other,
the leader more often than others. Meanwhile clients want the same few keys; what they were told has to be linearizable.
SWARMLET_LIN_SECONDS=600 makes the hostile time longer; the seed is in the failure.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain
from random import Random

import pytest
from lin_clients import HttpClient
from lin_register import check_register

from lab.cluster import Agent, Cluster, cluster, eventually
from lab.hosts import NamespaceHost, why_no_links

HOSTILE_S = float(os.environ.get("SWARMLET_LIN_SECONDS", "15"))
SEED = int(os.environ.get("SWARMLET_LIN_SEED", "1"))
CLIENTS = 6
KEYS = ["a", "b", "c"]


@pytest.fixture
def agents() -> Iterator[Cluster]:
    with cluster(3, "process" if why_no_links() else "linked") as made:
        made.start()
        yield made


def kill(agent: Agent, rng: Random, made: Cluster) -> None:
    agent.kill()
    time.sleep(rng.uniform(0, 1.5))
    agent.start(made.addresses)


def stop_and_continue(agent: Agent, rng: Random, _made: Cluster) -> None:
    agent.signal(signal.SIGSTOP)
    time.sleep(rng.uniform(0.2, 3.0))
    agent.signal(signal.SIGCONT)


def cut_off(agent: Agent, rng: Random, _made: Cluster) -> None:
    assert isinstance(agent.host, NamespaceHost)
    agent.host.cut()
    time.sleep(rng.uniform(0.2, 3.0))
    agent.host.heal()


def be_hostile(made: Cluster, rng: Random) -> list[str]:
    """One thing after the other, each to one agent; which ones, in order."""
    happenings: list[Callable[[Agent, Random, Cluster], None]] = [kill, stop_and_continue]
    if isinstance(made.hosts[0], NamespaceHost):
        happenings.append(cut_off)
    done: list[str] = []
    until = time.monotonic() + HOSTILE_S
    while time.monotonic() < until:
        happening = happenings[len(done) % len(happenings)]
        victim = made.leader() if rng.random() < 0.6 else rng.choice(made.agents)
        done.append(f"{happening.__name__} {victim.name}")
        happening(victim, rng, made)
        time.sleep(rng.uniform(0, 1.0))
    return done


def test_what_clients_are_told_is_linearizable_whatever_happens_to_the_agents(agents: Cluster) -> None:
    end = threading.Event()
    clients = [HttpClient(f"c{number}", agents.agents, KEYS, SEED + number, end) for number in range(CLIENTS)]
    for client in clients:
        client.start()

    try:
        happened = be_hostile(agents, Random(SEED))
        healed_at = time.monotonic()
        eventually("every client is answered", lambda: all(c.answered_at > healed_at for c in clients), 20.0)
    finally:
        end.set()
        for client in clients:
            client.join(timeout=15)

    history = list(chain.from_iterable(client.history for client in clients))
    assert not any(client.is_alive() for client in clients)
    found = check_register(history)
    assert found is None, f"seed {SEED}, after {happened}: {found}"
    assert len(history) > 100 and len(happened) >= 3, "it was hostile, and clients were busy"
