"""Hostile schedules for the Raft core: every invariant after every step, and progress once the faults end.

A failure names its seed. To replay one, with a trace of the last that happened:
    SWARMLET_SIM_SEED=1234 pytest tests/sim/test_sim_raft.py -k PROFILE
To look at more schedules than the usual slice:
    SWARMLET_SIM_SEEDS=2000 SWARMLET_SIM_FROM=10000 pytest tests/sim/test_sim_raft.py
"""

import os

import pytest
from sim_faults import PROFILES, run_schedule

SEEDS_PER_PROFILE = 25


def seeds() -> range:
    if "SWARMLET_SIM_SEED" in os.environ:
        only = int(os.environ["SWARMLET_SIM_SEED"])
        return range(only, only + 1)
    first = int(os.environ.get("SWARMLET_SIM_FROM", "0"))
    return range(first, first + int(os.environ.get("SWARMLET_SIM_SEEDS", SEEDS_PER_PROFILE)))


@pytest.mark.parametrize("profile", PROFILES)
def test_no_schedule_breaks_an_invariant(profile):
    reads = snapshots = 0
    for seed in seeds():
        try:
            cluster = run_schedule(PROFILES[profile], seed)
        except AssertionError as error:
            error.add_note(f"seed {seed} of profile {profile}; to replay it:")
            error.add_note(f"SWARMLET_SIM_SEED={seed} pytest tests/sim/test_sim_raft.py -k {profile}")
            raise
        reads += cluster.reads_served
        snapshots += sum(server.snapshots_installed for server in cluster.servers.values())

    if len(seeds()) >= SEEDS_PER_PROFILE:
        assert reads > 0 and snapshots > 0, "the schedules do what they are for"


def test_a_seed_always_makes_the_same_schedule():
    first, second = (list(run_schedule(PROFILES["everything"], 7).trace()) for _ in range(2))

    assert first == second
