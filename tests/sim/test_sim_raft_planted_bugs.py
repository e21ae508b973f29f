"""The simulator is worth something only if it finds bugs: each of these is planted in the code, and has to be found.

Here within few schedules; `scripts/simulate --planted` says in which one. Those that need more are left to it.
"""

import pytest
from sim_planted import BUGS, Planted, find, is_natural, planted
from sim_profiles import PROFILES
from sim_schedule import run_schedule


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Planted):
    found = find(bug)

    assert found is not None
    assert is_natural(bug, str(found[1]))


def test_a_bug_is_gone_when_its_time_is_over():
    bug = BUGS[0]
    with planted(bug):
        pass

    run_schedule(PROFILES[bug.profile], seed=0)
