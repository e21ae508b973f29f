"""Gossip beside Serf: 20 agents of each on loopback addresses, in the same run.

Join; kill an agent until all others know; rest (CPU, bytes); then stalls (SIGSTOP) and packet loss, where nobody should
be called dead. Serf has its LAN profile. The fleets take turns where a figure is a time, and share the trouble.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.gossip_fleet import Fleet
from benchmarks.loopback_rules import LoopbackRules, loopback_rules
from benchmarks.report import Row, finish, ratio_row, row
from gossip_sim.throughput import measure

SIZE = 20
NETWORKS = ("127.77", "127.78")
PEER = "Serf, LAN profile"
REST_S = 20.0
STALL_S = 1.5
STALLED_AT_ONCE = 4
BETWEEN_STALLS_S = 2.0
LOSS_PERCENT = 10


def say(text: str) -> None:
    print(text, flush=True)


def killed(fleet: Fleet, number: int) -> float:
    victim = fleet.agents[number]
    since = time.monotonic()
    victim.kill()
    taken = fleet.time_of_death(victim, since)
    victim.start()
    fleet.wait_whole()
    return taken


def at_rest(fleets: list[Fleet], rules: LoopbackRules) -> dict[str, tuple[float, float]]:
    """CPU (percent of one core) and bytes a second, for each agent."""
    before = {fleet.what: (fleet.cpu_s(), rules.bytes_sent(fleet.network)) for fleet in fleets}
    started = time.monotonic()
    time.sleep(REST_S)
    seconds = SIZE * (time.monotonic() - started)
    found = {}
    for fleet in fleets:
        cpu_s, sent_bytes = before[fleet.what]
        spent, sent = fleet.cpu_s() - cpu_s, rules.bytes_sent(fleet.network) - sent_bytes
        found[fleet.what] = (100 * spent / seconds, sent / seconds)
    return found


def troubled(fleets: list[Fleet], rules: LoopbackRules, minutes: float, seed: int) -> dict[str, int]:
    """How often a living agent was called dead, counted at each agent that said so."""
    rng = random.Random(seed)
    names = {agent.name for agent in fleets[0].agents}
    since = time.monotonic()
    with rules.losing(LOSS_PERCENT):
        while time.monotonic() - since < 60 * minutes:
            stalled = rng.sample(range(SIZE), STALLED_AT_ONCE)
            for number in (signal.SIGSTOP, signal.SIGCONT):
                for fleet in fleets:
                    for index in stalled:
                        fleet.agents[index].signal(number)
                time.sleep(STALL_S if number is signal.SIGSTOP else BETWEEN_STALLS_S)
    return {fleet.what: fleet.deaths_declared(since, names) for fleet in fleets}


def alarm_row(ours: int, theirs: int, minutes: float) -> Row:
    name = f"false alarms in {minutes:g} min of stalls and loss"
    required = theirs == 0
    return Row(
        name, float(ours), "", PEER, float(theirs), "0 where the peer has 0" if required else "",
        ours == 0 if required else None, [float(ours)],
    )  # fmt: skip


def measured(fleets: list[Fleet], rules: LoopbackRules, rounds: int, minutes: float, seed: int) -> list[Row]:
    ours, theirs = fleets
    joins = [fleet.start() for fleet in fleets]
    say(f"joined: {joins[0]:.2f} s, Serf {joins[1]:.2f} s")
    deaths: list[list[float]] = [[], []]
    for number in range(rounds):
        for fleet, times in zip(fleets, deaths, strict=True):
            times.append(killed(fleet, 1 + number % (SIZE - 1)))
        say(f"killed agent known to all: {deaths[0][-1]:.2f} s, Serf {deaths[1][-1]:.2f} s")
    rest = at_rest(fleets, rules)
    alarms = troubled(fleets, rules, minutes, seed)
    cpu, sent = zip(rest[ours.what], rest[theirs.what], strict=True)
    throughput = measure()
    return [
        row("start to all joined", joins[:1], "s", peer=PEER, peer_samples=joins[1:]),
        row("killed agent known dead by all", deaths[0], "s", peer=PEER, peer_samples=deaths[1], at_most=2.5),
        ratio_row("killed agent known, against Serf", deaths[0], PEER, deaths[1], at_most=1 / 3),
        alarm_row(alarms[ours.what], alarms[theirs.what], minutes),
        row("CPU of an agent at rest", [cpu[0]], "%", peer=PEER, peer_samples=[cpu[1]]),
        row("bytes a second of an agent at rest", [sent[0]], "B", peer=PEER, peer_samples=[sent[1]]),
        Row(
            "messages a second through one core", round(throughput.messages_per_s), "/s", bar="≥ 20,000 /s",
            met=throughput.messages_per_s >= 20_000,
        ),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench gossip", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="agents killed in each fleet")
    parser.add_argument("--minutes", type=float, default=10.0, help="of stalls and packet loss")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-logs", action="store_true")
    given = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: nftables rules lose and count the packets")
    directory = Path(tempfile.mkdtemp(prefix="swarmlet-bench-gossip-"))
    fleets = [
        Fleet.of_swarmlet(SIZE, NETWORKS[0], directory),
        Fleet.of_serf(SIZE, NETWORKS[1], directory),
    ]
    try:
        with loopback_rules(list(NETWORKS)) as rules:
            rows = measured(fleets, rules, given.rounds, given.minutes, given.seed)
    finally:
        for fleet in fleets:
            fleet.stop()
        if given.keep_logs:
            say(f"logs: {directory}")
        else:
            shutil.rmtree(directory)
    return finish("gossip", rows)


if __name__ == "__main__":
    sys.exit(main())
