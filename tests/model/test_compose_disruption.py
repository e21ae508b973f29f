"""`x-swarmlet: max_unavailable`: a number or a share."""

import pytest
from compose_builders import a_file, a_service, the_error

from swarmlet.model.spec import MaxUnavailable


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2", MaxUnavailable(count=2)),
        ("0", MaxUnavailable(count=0)),
        ("25%", MaxUnavailable(percent=25)),
        ("0%", MaxUnavailable(count=0)),
        ('"3"', MaxUnavailable(count=3)),
    ],
)
def test_a_budget_is_a_number_or_a_share(written: str, read: MaxUnavailable) -> None:
    assert a_service(f"x-swarmlet: {{max_unavailable: {written}}}").max_unavailable == read


def test_one_task_at_a_time_is_the_default() -> None:
    assert a_service().max_unavailable.of(30) == 1


@pytest.mark.parametrize(("percent", "of_seven"), [(1, 1), (30, 3), (50, 4), (100, 7)])
def test_a_share_is_rounded_up(percent: int, of_seven: int) -> None:
    assert MaxUnavailable(percent=percent).of(7) == of_seven


@pytest.mark.parametrize("written", ["101%", "-1", "a third", "1.5%", "12.5"])
def test_other_budgets_are_refused_with_what_to_write(written: str) -> None:
    error = the_error(a_file(f"x-swarmlet: {{max_unavailable: {written}}}"))

    assert (error.line, error.column) == (4, 35)
    assert "write" in str(error)
