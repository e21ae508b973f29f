"""Real agents that only gossip, on loopback: who is killed is dead soon, who is stopped or loses packets is not.

The benchmark does the same with 20 agents for ten minutes, beside Serf.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from benchmarks.gossip_fleet import Fleet
from benchmarks.loopback_rules import LoopbackRules, loopback_rules
from lab.hosts import why_no_namespaces

SIZE, NETWORK = 8, "127.79"
BURSTS, STALL_S, BETWEEN_S = 4, 1.5, 1.5
DEATH_KNOWN_S = 10.0

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or why_no_namespaces() is not None, reason="needs root and nftables")


@pytest.fixture
def rules() -> Iterator[LoopbackRules]:
    with loopback_rules([NETWORK]) as made:
        yield made


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet.of_swarmlet(SIZE, NETWORK, tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def let_time_pass(for_s: float) -> None:
    """The time itself is what is done to them."""
    Event().wait(for_s)


def test_stopped_agents_and_lost_packets_raise_no_false_alarm_and_a_killed_agent_is_missed(
    fleet: Fleet, rules: LoopbackRules
) -> None:
    since = time.monotonic()
    with rules.losing(10):
        for burst in range(BURSTS):
            stopped = [fleet.agents[(2 * burst + each) % SIZE] for each in range(2)]
            for agent in stopped:
                agent.signal(signal.SIGSTOP)
            let_time_pass(STALL_S)
            for agent in stopped:
                agent.signal(signal.SIGCONT)
            let_time_pass(BETWEEN_S)
    assert fleet.deaths_declared(since, {agent.name for agent in fleet.agents}) == 0

    killed_at = time.monotonic()
    fleet.agents[3].kill()

    assert fleet.time_of_death(fleet.agents[3], killed_at, DEATH_KNOWN_S) < DEATH_KNOWN_S
