"""Hostile schedules for consensus, storage and store: every invariant after every step, progress once the faults end.

`scripts/simulate` runs as many as one likes; a failure says how to replay it.
"""

import pytest
from sim_profiles import PROFILES
from sim_schedule import Tally, run_schedule

SEEDS = 12


@pytest.mark.parametrize("profile", PROFILES)
def test_no_schedule_breaks_an_invariant(profile: str):
    tally = Tally()
    for seed in range(SEEDS):
        try:
            tally.add(run_schedule(PROFILES[profile], seed).tally)
        except AssertionError as error:
            error.add_note(f"to replay it: scripts/simulate --profile {profile} --from {seed} --seeds 1 --trace")
            raise

    assert tally.reads > 0 and tally.writes > 0 and tally.elections > SEEDS, "the schedules do what they are for"


def test_a_seed_always_makes_the_same_schedule():
    first, second = (run_schedule(PROFILES["everything"], 7) for _ in range(2))

    assert first.trace == second.trace
    assert first.tally == second.tally
