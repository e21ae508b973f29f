"""Schedules mean there what they mean here, or a note says what they don't."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlet.export.cron import KEY, cron_of
from swarmlet.export.document import Notes

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


def converted(schedule: str) -> tuple[str, list[str]]:
    notes = Notes()
    found = cron_of(schedule, notes.of("web"))
    assert {note.key for note in notes.found} <= {KEY}
    return found, [note.message for note in notes.found]


@pytest.mark.parametrize(
    ("written", "weekday"),
    [
        ("7", "0"),
        ("0", "0"),
        ("5-7", "0,5,6"),
        ("1-7/3", "0,1,4"),
        ("mon/2", "0,1,3,5"),
        ("4/2", "4/2"),
        ("MON-FRI,7", "MON-FRI,0"),
        ("*/7", "*/7"),
        ("*", "*"),
    ],
)
def test_sunday_is_never_seven(written: str, weekday: str) -> None:
    assert converted(f"30 2 * * {written}") == (f"30 2 * * {weekday}", [])


@pytest.mark.parametrize("days", ["L * *", "LW * *", "l * *", "* * 5L", "* * 1#2"])
def test_what_is_unknown_there_is_noted(days: str) -> None:
    found, (message,) = converted(f"30 2 {days}")

    assert found == f"30 2 {days}"
    assert "L and #" in message


def test_a_sixth_field_and_macros() -> None:
    assert converted("5 30 2 * * 7") == ("30 2 * * 0", ["seconds can't be said: it runs at the minute"])
    assert converted(" @Daily ") == ("@daily", [])


def test_days_that_must_match_both_fields_here_are_noted() -> None:
    assert converted("0 0 13 * 5") == ("0 0 13 * 5", [])
    assert converted("0 0 */2 * *")[1] == []
    assert converted("0 0 */2 * 7") == (
        "0 0 */2 * 0",
        ["days have to match both '*/2' and '7' here, and one of them there"],
    )


def days_there(day: str, weekday: str) -> set[int]:
    """Days of two months, from 0, on which robfig/cron's ParseStandard runs."""
    dom, dom_any = bits(day, 1, 31)
    dow, dow_any = bits(weekday, 0, 6)
    found = set()
    for number in range(60):
        at = MONDAY + timedelta(days=number)
        matches = at.day in dom, at.isoweekday() % 7 in dow
        if all(matches) if dom_any or dow_any else any(matches):
            found.add(number)
    return found


def bits(field: str, least: int, most: int) -> tuple[set[int], bool]:
    days: set[int] = set()
    is_any = False
    for term in field.split(","):
        span, _, step = term.partition("/")
        first, _, last = span.partition("-")
        if first == "*":
            start, end, is_any = least, most, is_any or step in ("", "1")
        else:
            start = int(first)
            end = int(last) if last else most if step else start
        assert least <= start <= end <= most, f"{term} would be refused"
        days |= set(range(start, end + 1, int(step or 1)))
    return days, is_any


def fields(least: int, most: int) -> st.SearchStrategy[str]:
    number, step = st.integers(least, most), st.sampled_from(["", "/1", "/2", "/3"])
    spans = st.tuples(number, number).map(sorted).filter(lambda two: two[0] < two[1])
    terms = st.one_of(
        st.builds("*{}".format, step),
        st.builds("{}{}".format, number, step),
        st.builds(lambda span, step: f"{span[0]}-{span[1]}{step}", spans, step),
    )
    return st.lists(terms, min_size=1, max_size=3).map(",".join)


@settings(max_examples=100, deadline=None)
@given(fields(1, 28), fields(0, 7))
def test_days_are_the_same_unless_it_is_noted(day: str, weekday: str) -> None:
    found, messages = converted(f"0 0 {day} * {weekday}")
    *_, new_day, _, new_weekday = found.split()
    there = days_there(new_day, new_weekday)

    moments = CronSim(f"0 0 {day} * {weekday}", MONDAY - timedelta(seconds=1))
    here = {(at - MONDAY).days for at in takewhile(lambda at: at < MONDAY + timedelta(days=60), moments)}

    assert here == there or messages
