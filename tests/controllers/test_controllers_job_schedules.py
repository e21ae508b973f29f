"""Scheduled jobs: each moment at most once, missed ones stated, the three policies, changes of the clocks."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from controllers_builders import START
from hypothesis import given, settings
from job_builders import WORK, JobCluster, a_job

from swarmlet.model.job import Concurrency, RunState
from swarmlet.model.schedule import COUNTED_MAX, BadSchedule, schedule_of

MINUTE = 60 * (START // 60 + 1)
"""The first full minute after the start."""


def a_cluster(**policy: object) -> JobCluster:
    cluster = JobCluster()
    cluster.add_node("n1")
    cluster.add_node("n2")
    cluster.deploy(a_job(**{"schedule": "* * * * *", **policy}))
    cluster.reconcile()
    return cluster


def at(cluster: JobCluster, moment: float) -> JobCluster:
    cluster.now = moment
    cluster.reconcile()
    return cluster


def job(cluster: JobCluster) -> tuple[int, int]:
    found = cluster.state.jobs[WORK].value
    return found.missed, found.skipped


def test_a_scheduled_job_runs_at_its_moments_and_not_when_it_is_deployed() -> None:
    cluster = a_cluster()
    assert cluster.runs() == []
    assert cluster.look().wake_at == MINUTE

    at(cluster, MINUTE)
    assert cluster.run().moment == MINUTE
    cluster.until_over()
    at(cluster, MINUTE + 60)

    assert [run.moment for run in cluster.runs()] == [MINUTE, MINUTE + 60]
    assert job(cluster) == (0, 0)


def test_a_moment_is_run_once_even_by_a_leader_that_looked_before_it_was_decided() -> None:
    cluster = a_cluster()
    cluster.now = MINUTE + 0.5
    slow = cluster.look().transactions
    cluster.reconcile()

    assert [cluster.commit(each) for each in slow] == [False]
    cluster.now -= 3  # a leader whose clock is behind
    cluster.reconcile()
    assert len(cluster.runs()) == 1


def test_of_the_moments_that_passed_unseen_the_last_one_is_run_if_it_is_young_and_the_others_are_stated() -> None:
    cluster = at(a_cluster(), MINUTE + 3 * 60 + 5)
    assert [run.moment for run in cluster.runs()] == [MINUTE + 180]
    assert job(cluster) == (3, 0)

    cluster.until_over()
    cluster = a_cluster(schedule="0 0 * * *")
    cluster.now += 5 * 86_400
    cluster.reconcile()
    assert cluster.runs() == []
    assert job(cluster)[0] == 5


def test_a_long_outage_is_counted_up_to_a_limit_and_the_schedule_goes_on() -> None:
    cluster = at(a_cluster(), MINUTE + 60 * (COUNTED_MAX + 500))

    assert job(cluster)[0] == COUNTED_MAX
    assert [run.moment for run in cluster.runs()] == [cluster.now]


def test_forbid_skips_the_moment() -> None:
    cluster = a_cluster(concurrency=Concurrency.FORBID)
    cluster.endless = True
    at(cluster, MINUTE)
    cluster.tick()
    at(cluster, MINUTE + 60)

    assert [run.moment for run in cluster.runs()] == [MINUTE]
    assert job(cluster) == (0, 1)


def test_replace_cancels_the_earlier_run_and_waits_for_its_end() -> None:
    cluster = a_cluster(concurrency=Concurrency.REPLACE)
    cluster.endless = True
    at(cluster, MINUTE)
    for _ in range(4):
        cluster.tick()
    at(cluster, MINUTE + 60)
    cluster.reconcile()

    earlier, later = cluster.runs()
    assert (earlier.state, earlier.reason) == (RunState.CANCELLED, "replaced by a later run")
    assert later.state is RunState.PENDING
    for _ in range(4):
        cluster.tick()
        assert len(cluster.alive_tasks()) <= 1
    assert cluster.run().state is RunState.RUNNING


def test_allow_runs_them_side_by_side() -> None:
    cluster = a_cluster(concurrency=Concurrency.ALLOW)
    cluster.endless = True
    for minute in range(12):
        at(cluster, MINUTE + 60 * minute)
        cluster.tick()
        cluster.tick()

    assert len(cluster.alive_tasks()) == 10
    assert job(cluster) == (0, 2)


def test_a_changed_schedule_counts_from_its_deployment() -> None:
    cluster = a_cluster(schedule="0 0 * * *")
    cluster.now += 10_000
    cluster.deploy(a_job(schedule="* * * * *"))
    cluster.reconcile()

    assert cluster.runs() == [] and job(cluster) == (0, 0)
    assert cluster.look().wake_at == 60 * (cluster.now // 60 + 1)


def test_finished_runs_of_a_schedule_are_forgotten_beyond_the_history() -> None:
    cluster = a_cluster(history_succeeded=2, history_failed=1, retries=0)
    for minute in range(8):
        cluster.failures = {1: int(minute < 4)}
        at(cluster, MINUTE + 60 * minute)
        cluster.until_over()
    cluster.settle()

    assert [run.number for run in cluster.runs()] == [4, 7, 8]
    assert len(cluster.state.tasks) == 3


# The clock


def moments(expression: str, zone: str, start: str, count: int, form: str = "%d %H:%M") -> list[str]:
    schedule = schedule_of(expression, zone)
    moment, found = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).timestamp(), []
    for _ in range(count):
        following = schedule.next_after(moment)
        assert following is not None and following > moment
        moment = following
        found.append(datetime.fromtimestamp(moment, UTC).strftime(form))
    return found


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        # Berlin skips 02:00 to 03:00 on 29 March 2026: what was due then is done at once after it.
        ("30 2 * * *", "2026-03-28T12:00", ["29 01:00", "30 00:30"]),
        # 02:00 to 03:00 comes twice on 25 October 2026: a fixed time is done once.
        ("30 2 * * *", "2026-10-24T12:00", ["25 00:30", "26 01:30"]),
        ("0,45 2 * * *", "2026-10-25T01:00", ["25 00:00", "25 00:45", "26 01:00"]),
        # What goes by elapsed time does not care.
        ("*/30 * * * *", "2026-10-25T01:45", ["25 00:00", "25 00:30", "25 01:00", "25 01:30", "25 02:00"]),
        ("@hourly", "2026-03-29T00:30", ["29 00:00", "29 01:00", "29 02:00"]),
        ("0 0 L * *", "2026-02-01T00:00", ["27 23:00", "30 22:00"]),
    ],
)
def test_moments_are_those_of_the_time_zone(expression: str, start: str, expected: list[str]) -> None:
    assert moments(expression, "Europe/Berlin", start, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("0 30 2 * * *", "2026-03-28T12:00", ["29 01:00:00", "30 00:30:00"]),
        ("10,40 30 2 * * *", "2026-03-28T12:00", ["29 01:00:10", "29 01:00:40", "30 00:30:10", "30 00:30:40"]),
        ("*/30 0,30 2 * * *", "2026-03-28T12:00", ["29 01:00:00", "29 01:00:30", "30 00:00:00", "30 00:00:30"]),
        ("0 30 2 * * *", "2026-10-24T12:00", ["25 00:30:00", "26 01:30:00"]),
        ("10,40 30 2 * * *", "2026-10-24T12:00", ["25 00:30:10", "25 00:30:40", "26 01:30:10", "26 01:30:40"]),
        ("5 */30 2 * * *", "2026-10-25T02:00", ["25 00:00:05", "25 00:30:05", "25 01:00:05", "25 01:30:05"]),
    ],
)
def test_seconds_change_nothing_of_what_becomes_of_a_missing_or_a_doubled_hour(
    expression: str, start: str, expected: list[str]
) -> None:
    assert moments(expression, "Europe/Berlin", start, len(expected), "%d %H:%M:%S") == expected


CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("Europe/London", "2026-03-29T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Antarctica/Troll", "2026-03-29T01:00"),  # by two hours
    ("Antarctica/Troll", "2026-10-25T01:00"),
    ("UTC", "2026-03-29T01:00"),
]
"""When (in UTC) the clocks of a zone change."""
BY_HALF_AN_HOUR = [("Australia/Lord_Howe", "2026-04-04T15:00"), ("Australia/Lord_Howe", "2026-10-03T15:30")]
"""Of this zone alone cronsim may lose a moment of a schedule that goes by elapsed time, with and without seconds."""
MINUTES = st.sampled_from(["0", "30", "0,45", "*/20", "*", "15-17", "0-59/30"])
HOURS = st.sampled_from(["0", "1", "2", "3", "0-3", "*", "*/2", "1,2"])


@settings(deadline=None)
@given(
    st.sampled_from(CHANGES + BY_HALF_AN_HOUR),
    MINUTES,
    HOURS,
    st.sets(st.sampled_from(range(0, 60, 5)), min_size=1, max_size=3),
)
def test_six_fields_name_the_seconds_of_the_minutes_that_five_name(
    change: tuple[str, str], minutes: str, hours: str, seconds: set[int]
) -> None:
    zone, change_at = change[0], datetime.fromisoformat(change[1]).replace(tzinfo=UTC).timestamp()
    start, end = change_at - 2 * 3600, change_at + 2 * 3600
    named = schedule_of(f"{minutes} {hours} * * *", zone).between(start - 1, end)

    with_seconds = schedule_of(f"{','.join(map(str, seconds))} {minutes} {hours} * * *", zone)

    assert with_seconds.between(start - 1, end + 59) == [minute + each for minute in named for each in sorted(seconds)]


@settings(deadline=None)
@given(st.sampled_from(CHANGES), MINUTES, HOURS, st.sampled_from(["", "0", "7,50", "*/30"]), st.integers(-9000, 9000))
def test_what_comes_next_does_not_depend_on_since_when_one_asks(
    change: tuple[str, str], minutes: str, hours: str, seconds: str, offset_s: int
) -> None:
    zone, change_at = change[0], datetime.fromisoformat(change[1]).replace(tzinfo=UTC).timestamp()
    schedule = schedule_of(f"{seconds} {minutes} {hours} * * *", zone)
    asked_at = change_at + offset_s
    later = [each for each in schedule.between(change_at - 4 * 3600, change_at + 4 * 3600) if each > asked_at]

    following = schedule.next_after(asked_at)

    assert following is not None
    assert following == later[0] if later else following > change_at + 4 * 3600


def test_within_an_hour_that_comes_twice_no_moment_comes_again() -> None:
    schedule = schedule_of("30 2 * * *", "Europe/Berlin")
    second = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()

    following = schedule.next_after(second)

    assert following is not None and datetime.fromtimestamp(following, UTC).strftime("%d %H:%M") == "26 01:30"


@pytest.mark.parametrize(
    ("expression", "zone", "message"),
    [
        ("* * * *", "UTC", "'\\* \\* \\* \\*' is no schedule \\(wrong number of fields\\), write five fields"),
        ("61 * * * *", "UTC", "bad minute"),
        ("0 0 31 2 *", "UTC", "bad day-of-month"),
        ("* * * * * *", "UTC", "comes more often than every 5 s"),
        ("@daily", "Mars/Olympus", "'Mars/Olympus' is no time zone, write one like UTC"),
        ("@daily", "../../etc/passwd", "is no time zone"),
        ("@daily", "", "is no time zone"),
        ("0 " * 150, "UTC", "is longer than 200 characters"),
    ],
)
def test_what_is_no_schedule_is_refused(expression: str, zone: str, message: str) -> None:
    with pytest.raises(BadSchedule, match=message):
        schedule_of(expression, zone)
