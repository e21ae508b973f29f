"""100,000 objects of 1 kB in a real agent: how long it takes to start, its memory, how long a snapshot holds it up.

One agent, alone, on a loopback address. The objects go in through the peers' protocol, many in a transaction.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom
from typing import Any

from benchmarks.report import Row, finish, row
from lab.cluster import Agent, Cluster, cluster, eventually
from swarmlet.drivers.consensus import SUBMIT
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address
from swarmlet.model.transaction import Put, Transaction
from swarmlet.security.keyring import load_ring
from swarmlet.security.peer_tls import PeerCredentials
from swarmlet.store import encode_transaction
from swarmlet.transport import PeerNetwork

OBJECTS = 100_000
OBJECT_BYTES = 1_000
IN_TRANSACTION = 100
UNDER_WAY = 16
SNAPSHOT_EVERY = 500
"""Log entries: the last snapshot of the load then holds nearly all objects, and each round's all."""
DEADLINE_S = 120.0
ADDRESS = "127.0.0.41"
"""Not one of those that a cluster in the lab has."""
SETTINGS = ("--set", "bootstrap_expect=0", "--set", "bootstrap=true", "--set", f"raft.snapshot_every={SNAPSHOT_EVERY}")


def store_size_rows(rounds: int = 5) -> list[Row]:
    """Rows of the report; each round takes one snapshot and starts the agent once."""
    with cluster(1, "process") as made:
        (agent,) = made.agents
        agent.host.address = ADDRESS
        made.start(*SETTINGS)
        asyncio.run(_load(made, agent))
        held, answered, started, memory = [], [], [], []
        for number in range(rounds):
            with _asked_all_the_time(agent) as longest_s:
                asyncio.run(_small_writes(made, agent, number))
                eventually("a snapshot is taken", lambda: _metric(agent, "swarmlet_snapshots_taken"), DEADLINE_S)
                agent.request("PUT", "/v1/kv/after", number, DEADLINE_S)
            held.append(_metric(agent, "swarmlet_snapshot_longest_step_seconds") * 1_000)
            answered.append(longest_s[0] * 1_000)
            memory.append(_peak_memory_mb(agent))
            agent.kill()
            started.append(_start(made, agent))
        stalls = made.stalls()
    for line in stalls:
        print(line)
    return [
        row("100,000 objects of 1 kB: start from a snapshot", started, "s", at_most=5.0),
        row("100,000 objects of 1 kB: memory at its peak", memory, "MB", at_most=600.0),
        row("100,000 objects of 1 kB: a snapshot holds the loop", held, "ms", at_most=20.0),
        row("100,000 objects of 1 kB: slowest answer meanwhile", answered, "ms"),
    ]


_LAST = f"/v1/kv/{OBJECTS - 1:06d}"
_READ = f"{_LAST}?consistency=linearizable"


def _start(made: Cluster, agent: Agent) -> float:
    """From the start of the process until it answers a linearizable read; it has all objects then."""
    began = time.monotonic()
    agent.start(made.addresses, *SETTINGS)
    eventually("the agent answers", lambda: agent.get(_READ), DEADLINE_S)
    took_s = time.monotonic() - began
    assert _metric(agent, "swarmlet_store_objects") >= OBJECTS
    return took_s


async def _load(made: Cluster, agent: Agent) -> None:
    values = SystemRandom()
    await _submit_all(
        made,
        agent,
        (
            [
                Put(f"kv/{first + number:06d}", values.randbytes(OBJECT_BYTES // 2).hex().encode())
                for number in range(IN_TRANSACTION)
            ]
            for first in range(0, OBJECTS, IN_TRANSACTION)
        ),
    )


async def _small_writes(made: Cluster, agent: Agent, round_number: int) -> None:
    """Enough for a snapshot to be due."""
    await _submit_all(made, agent, ([Put("kv/round", b"%d %d" % (round_number, n))] for n in range(SNAPSHOT_EVERY)))


async def _submit_all(made: Cluster, agent: Agent, writes: Iterator[list[Put]]) -> None:
    """As another node would, `UNDER_WAY` at once."""
    target = NodeId(agent.get("/v1/status")["node_id"])
    own = NodeId("b" * 16)
    credentials = PeerCredentials(load_ring(agent.key_file), own)
    address = Address(agent.host.address, 8421)
    async with PeerNetwork(own, credentials, Address("127.0.0.1", 0), lambda _: address) as network:

        async def work() -> None:
            for puts in writes:
                body = encode_transaction(Transaction((), tuple(puts)))
                await network.call(target, SUBMIT, body, timeout_s=30.0)

        async with asyncio.TaskGroup() as group:
            for _ in range(UNDER_WAY):
                group.create_task(work())


@contextmanager
def _asked_all_the_time(agent: Agent) -> Iterator[list[float]]:
    """The longest that the agent took to answer a question which costs it nothing."""
    longest_s, stop = [0.0], threading.Event()

    def ask() -> None:
        while not stop.wait(0.002):
            began = time.monotonic()
            agent.get("/healthz")
            longest_s[0] = max(longest_s[0], time.monotonic() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield longest_s
    finally:
        stop.set()
        asking.join()


def _metric(agent: Agent, name: str) -> float:
    text: Any = agent.get("/metrics")
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def _peak_memory_mb(agent: Agent) -> float:
    process: subprocess.Popen[bytes] | None = agent.process
    assert process is not None
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1_024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store_size", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="snapshots and starts")
    return finish("store_size", store_size_rows(parser.parse_args().rounds))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
