"""Windows and policies: what stands between a recommendation and the number that is chosen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlet.controllers.scaling_limits import LEVELS_MAX, SLICES, limited, stabilized, with_level
from swarmlet.model.autoscale import SCALE_DOWN, SCALE_UP, Autoscale, Level, ScalePolicy, ScalingRules, Select

SCALING = Autoscale(
    replicas_max=100,
    scale_up=SCALE_UP.model_copy(update={"stabilization_s": 60}),
    scale_down=SCALE_DOWN.model_copy(update={"stabilization_s": 300}),
)


def levels(*pairs: tuple[float, int]) -> tuple[Level, ...]:
    return tuple(Level(since=since, low=replicas, high=replicas) for since, replicas in pairs)


def test_fewer_wait_until_the_highest_recommendation_has_left_the_window() -> None:
    past = levels((0, 8), (100, 5), (200, 3))

    held = stabilized(SCALING, past, current=8, wanted=3, now=250)
    assert held[0] == 8
    assert held[1] == "the highest recommendation of the last 300 s counts"
    assert held[2] == 400, "8 held until 100"
    assert stabilized(SCALING, past, current=8, wanted=3, now=400)[0] == 5
    assert stabilized(SCALING, past, current=5, wanted=3, now=500) == (3, "", None)


def test_more_wait_for_the_lowest_recommendation_of_their_own_window() -> None:
    past = levels((0, 2), (100, 6))

    assert stabilized(SCALING, past, current=2, wanted=6, now=130)[:1] == (2,)
    assert stabilized(SCALING, past, current=2, wanted=6, now=160) == (6, "", None)
    at_once = SCALING.model_copy(update={"scale_up": SCALE_UP})
    assert stabilized(at_once, past, current=2, wanted=6, now=100) == (6, "", None)


def test_a_recommendation_beyond_the_present_number_does_not_turn_the_direction() -> None:
    past = levels((0, 9), (100, 3))

    assert stabilized(SCALING, past, current=5, wanted=3, now=150)[0] == 5, "9 was wanted, 3 is: it stays at 5"


def test_levels_hold_until_the_next_and_are_written_only_when_they_change() -> None:
    first = with_level((), 4, now=0, window_s=300)
    same = with_level(first, 4, now=1_000, window_s=300)
    other = with_level(same, 2, now=1_005, window_s=300)

    assert first == same == levels((0, 4))
    assert other == levels((0, 4), (1_005, 2)), "4 held up to now, however long ago it began"
    assert with_level(other, 2, now=1_305, window_s=300) == levels((1_005, 2))


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), max_size=200), st.integers(0, 3_600))
def test_however_often_it_changes_levels_stay_bounded_and_cover_the_window(
    steps: list[tuple[int, int]], window_s: int
) -> None:
    kept: tuple[Level, ...] = ()
    now, seen = 0, []
    for gap_s, replicas in steps:
        now += gap_s
        kept = with_level(kept, replicas, now, window_s)
        seen.append((now, replicas))
        assert len(kept) <= LEVELS_MAX
        within = [value for at, value in seen if at > now - window_s]
        assert max([level.high for level in kept]) >= max(within, default=0)
        assert min([level.low for level in kept]) <= min(within, default=99)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=100, max_size=300),
    st.dictionaries(st.integers(0, 250), st.integers(1, 9), max_size=4),
    st.integers(60, 1_800),
    st.integers(1, 9),
)
def test_a_recommendation_counts_for_the_window_and_a_slice_of_it_at_most(
    gaps_s: list[int], peaks: dict[int, int], window_s: int, current: int
) -> None:
    """Beside one who remembers everything, where the recommendation wavers between 4 and 5."""
    kept: tuple[Level, ...] = ()
    all_of_them: tuple[Level, ...] = ()
    now = 0.0
    exact, longer = (with_windows(each) for each in (window_s, window_s * (1 + 1 / SLICES)))
    for number, gap_s in enumerate(gaps_s):
        now += gap_s
        replicas = peaks.get(number, 4 + number % 2)
        kept = with_level(kept, replicas, now, window_s)
        if not all_of_them or all_of_them[-1].high != replicas:
            all_of_them += levels((now, replicas))

        chosen = stabilized(exact, kept, current, replicas, now)[0]
        bounds = [stabilized(scaling, all_of_them, current, replicas, now)[0] for scaling in (exact, longer)]
        assert min(bounds) <= chosen <= max(bounds)


def with_windows(seconds: float) -> Autoscale:
    return Autoscale(
        replicas_max=100,
        scale_up=SCALE_UP.model_copy(update={"stabilization_s": seconds}),
        scale_down=SCALE_DOWN.model_copy(update={"stabilization_s": seconds}),
    )


def test_an_old_peak_is_forgotten_however_often_the_recommendation_changes() -> None:
    scaling = with_windows(600)
    kept = with_level((), 20, now=0, window_s=600)
    for now in range(5, 700, 5):
        kept = with_level(kept, 5 + now // 5 % 2, now, window_s=600)

    assert stabilized(scaling, kept, current=20, wanted=5, now=700)[0] == 6


def test_policies_allow_so_much_in_a_period_and_the_larger_counts() -> None:
    assert limited(SCALE_UP, [], current=2, wanted=50, now=0)[0] == 6, "4 more"
    assert limited(SCALE_UP, [], current=10, wanted=50, now=0)[0] == 20, "twice as many"
    assert limited(SCALE_UP, [(0, 10)], current=20, wanted=50, now=10)[:1] == (20,), "the period's share is used up"
    assert limited(SCALE_UP, [(0, 10)], current=20, wanted=50, now=15)[0] == 40
    assert limited(SCALE_UP, [(0, 10)], current=20, wanted=50, now=10)[2] == 15


def test_the_smaller_counts_where_min_is_selected_and_none_where_disabled() -> None:
    policies = (ScalePolicy(percent=50, period_s=60), ScalePolicy(tasks=1, period_s=60))
    down = ScalingRules(policies=policies, select=Select.MIN)

    assert limited(down, [], current=10, wanted=1, now=0)[0] == 9
    assert limited(down.model_copy(update={"select": Select.MAX}), [], current=10, wanted=1, now=0)[0] == 5
    off = limited(down.model_copy(update={"select": Select.DISABLED}), [], current=10, wanted=1, now=0)
    assert off == (10, "scaling down is disabled", None)


@pytest.mark.parametrize("wanted", [1, 10, 100])
def test_a_policy_never_moves_away_from_what_is_wanted(wanted: int) -> None:
    used_up = [(0.0, 30), (1.0, -30)]

    for rules in (SCALE_UP, SCALE_DOWN):
        number = limited(rules, used_up, current=10, wanted=wanted, now=2)[0]
        assert min(10, wanted) <= number <= max(10, wanted)
