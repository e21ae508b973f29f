"""The store beside a real etcd: writes, reads, latency at half load, and the loss of a leader.

Three agents and three etcd members on loopback addresses of one host, their logs on the same disk, synced. Each
measurement of swarmlet stands beside one of etcd in the same round. Writers are 64 clients with objects of 256 bytes,
in one process that talks to each store by raw sockets (`store_targets`), so that it costs about the same for both. All
talk to the leader: either store is fastest so.
"""

import argparse
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.etcd import Etcd
from benchmarks.report import Row, compared_row, finish
from benchmarks.store_failover import next_accepted_s
from lab.cluster import Cluster
from lab.workspace import Workspace

CLIENTS = 64
PEER = "etcd"
REST_S = 1.0
"""Between two measurements: what the last one left in the disks' queues is written."""
STEADY_S = 2.0
"""A leader is left in office so long before it is killed."""


@dataclass(frozen=True)
class Measured:
    per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failures: int
    first_failure: str


def say(text: str) -> None:
    print(text, flush=True)


def load(kind: str, action: str, host: str, seconds: float, key_file: Path, rate: float = 0.0) -> Measured:
    """One run of the load generator, in its own process."""
    time.sleep(REST_S)
    argv = [sys.executable, "-m", "benchmarks.store_load", kind, action, host, "--clients", str(CLIENTS)]
    argv += ["--seconds", str(seconds), "--rate", str(rate), "--key-file", str(key_file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed: {done.stderr}")
    measured = Measured(**json.loads(done.stdout))
    offered = f" of {rate:.0f} offered" if rate else ""
    say(
        f"  {kind:5} {action:17} {measured.per_s:8.0f}/s{offered}, p50 {measured.p50_ms:.1f} ms, "
        f"p99 {measured.p99_ms:.1f} ms, longest {measured.max_ms:.1f} ms"
    )
    if measured.failures:
        say(f"        {measured.failures} failed: {measured.first_failure}")
    return measured


class Measurements:
    def __init__(self, cluster: Cluster, etcd: Etcd | None, seconds: float) -> None:
        self.cluster, self.etcd, self.seconds = cluster, etcd, seconds
        self.samples: dict[str, list[float]] = {}

    def take(self, name: str, value: float) -> None:
        self.samples.setdefault(name, []).append(value)

    def writes(self) -> None:
        """One round: what each takes at most, and at once how long it takes when half of that is offered."""
        kinds = (("etcd", self._etcd),) if self.etcd is not None else ()
        for kind, measure in (*kinds, ("peer", self._peer), ("http", self._http)):
            most = measure("write")
            self.take(f"{kind} write", most.per_s)
            self.take(f"{kind} p99", measure("write", most.per_s / 2).p99_ms)

    def reads(self) -> None:
        for action in ("read", "read-linearizable"):
            if self.etcd is not None:
                self.take(f"etcd {action}", self._etcd(action).per_s)
            self.take(f"http {action}", self._http(action).per_s)

    def lost_leader(self) -> None:
        if self.etcd is not None:
            self.take("etcd failover", self._etcd_failover(self.etcd))
        self.take("failover", self._our_failover())

    def _peer(self, action: str, rate: float = 0.0) -> Measured:
        return self._ours("peer", action, rate)

    def _http(self, action: str, rate: float = 0.0) -> Measured:
        return self._ours("http", action, rate)

    def _ours(self, kind: str, action: str, rate: float) -> Measured:
        leader = self.cluster.leader()
        return load(kind, action, leader.host.address, self.seconds, self.cluster.agents[0].key_file, rate)

    def _etcd(self, action: str, rate: float = 0.0) -> Measured:
        assert self.etcd is not None
        return load("etcd", action, self.etcd.leader().address, self.seconds, self.cluster.agents[0].key_file, rate)

    def _our_failover(self) -> float:
        time.sleep(STEADY_S)
        leader = self.cluster.leader()
        survivors = [agent.host.address for agent in self.cluster.agents if agent is not leader]
        taken = next_accepted_s("http", survivors, lambda: leader.signal(signal.SIGKILL))
        say(f"  swarmlet: leader killed, write accepted after {taken:.3f} s")
        leader.kill()  # reaps it
        leader.start(self.cluster.addresses)
        self.cluster.wait_formed(60)
        return taken

    def _etcd_failover(self, etcd: Etcd) -> float:
        time.sleep(STEADY_S)
        leader = etcd.leader()
        survivors = [member.address for member in etcd.members if member is not leader]
        taken = next_accepted_s("etcd", survivors, leader.kill)
        say(f"  etcd: leader killed, write accepted after {taken:.3f} s")
        leader.gone()
        leader.start(etcd.members)
        etcd.wait_healthy()
        return taken

    def rows(self) -> list[Row]:
        def beside(title: str, ours: str, theirs: str, unit: str, **bars: float) -> Row:
            return compared_row(title, self.samples[ours], unit, PEER, self.samples.get(theirs, []), **bars)

        return [
            beside("writes, peers' protocol", "peer write", "etcd write", "/s", at_least_ratio=1.0),
            beside("writes, HTTP", "http write", "etcd write", "/s", at_least_ratio=0.6),
            beside("p99 at half load, peers' protocol", "peer p99", "etcd p99", "ms", at_most_ratio=2.0),
            beside("p99 at half load, HTTP", "http p99", "etcd p99", "ms", at_most_ratio=2.0),
            beside("local reads of one peer, HTTP", "http read", "etcd read", "/s", at_least=5_000),
            beside("linearizable reads, HTTP", "http read-linearizable", "etcd read-linearizable", "/s"),
            beside("leader killed, write accepted", "failover", "etcd failover", "s", at_most_ratio=0.5),
        ]


def size_rows(rounds: int) -> list[Row]:
    """What a large store costs, where that benchmark is there: start, memory, and how long a snapshot blocks."""
    if importlib.util.find_spec("benchmarks.store_size") is None:
        return []
    module: Any = importlib.import_module("benchmarks.store_size")
    rows: list[Row] = module.store_size_rows(rounds)
    return rows


def disk_directory() -> str:
    """Where the logs go: a file system on a disk, since a sync in memory costs nothing."""
    for candidate in (tempfile.gettempdir(), "/var/tmp"):
        kind = subprocess.run(["stat", "-f", "-c", "%T", candidate], capture_output=True, text=True, check=True)
        if kind.stdout.strip() not in ("tmpfs", "ramfs"):
            return candidate
    raise RuntimeError("neither the temporary directory nor /var/tmp is on a disk: set TMPDIR to one that is")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench store", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each figure")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement, after one of warming up")
    parser.add_argument("--no-peer", action="store_true", help="without etcd")
    parser.add_argument("--no-size", action="store_true", help="without the store of 100,000 objects")
    options = parser.parse_args()
    tempfile.tempdir = os.environ["TMPDIR"] = disk_directory()
    workspace = Workspace.create()
    etcd = None
    try:
        cluster = Cluster(workspace, 3, "process")
        cluster.start()
        if not options.no_peer:
            etcd = Etcd(workspace)
            say(f"beside etcd {etcd.version()}")
        measurements = Measurements(cluster, etcd, options.seconds)
        for step in (measurements.writes, measurements.reads, measurements.lost_leader):
            for number in range(options.rounds):
                say(f"{step.__name__.replace('_', ' ')}, round {number + 1}")
                step()
        for line in cluster.stalls():
            say(line)
    finally:
        if etcd is not None:
            etcd.close()
        workspace.close()
    return finish("store", [*measurements.rows(), *([] if options.no_size else size_rows(options.rounds))])


if __name__ == "__main__":
    sys.exit(main())
