"""One metric out of a page: strict where it is the metric's own line, blind everywhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.model.autoscale import PrometheusMetric
from swarmlet.model.ids import TaskId
from swarmlet.node.metric_meter import MetricMeter
from swarmlet.node.metric_text import SERIES_MAX, MetricUnreadable, Reading, read_metric

PAGE = """\
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",path="/"} 10
http_requests_total{code="200",path="/a b\\"c"} 5.5 1700000000000
http_requests_total{code="500",path="/"} 3
http_requests_total_other 99
# TYPE jobs_waiting gauge
jobs_waiting\t7
jobs_empty NaN
# TYPE latency_seconds histogram
latency_seconds_bucket{le="+Inf"} 4
latency_seconds_count 4
this line is {{{ no metric at all
http_broken{x=" 1
http_infinite +Inf
untyped_total 4
"""


def a_metric(name: str, **labels: str) -> PrometheusMetric:
    return PrometheusMetric(port=80, name=name, labels=labels, target_average=1)


def total(metric: PrometheusMetric, page: str = PAGE) -> tuple[bool, float]:
    reading = read_metric(page, metric)
    return reading.counter, sum(reading.series.values())


def test_all_series_with_the_labels_count() -> None:
    assert total(a_metric("http_requests_total")) == (True, 18.5)
    assert total(a_metric("http_requests_total", code="200")) == (True, 15.5)
    assert total(a_metric("http_requests_total", code="200", path='/a b"c')) == (True, 5.5)
    assert total(a_metric("jobs_waiting")) == (False, 7)


def test_what_only_grows_is_a_counter() -> None:
    assert total(a_metric("latency_seconds_count")) == (True, 4)
    assert total(a_metric("untyped_total")) == (True, 4)
    assert total(a_metric("untyped_total"), "# TYPE untyped_total gauge\nuntyped_total 4\n") == (False, 4)
    assert total(a_metric("x_total"), "# TYPE x counter\nx_total 4\n") == (True, 4), "as OpenMetrics writes it"


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        (a_metric("absent"), "there is no absent"),
        (a_metric("jobs_waiting", queue="x"), "there is no jobs_waiting with these labels"),
        (a_metric("jobs_empty"), "there is no jobs_empty"),
        (a_metric("http_broken"), "http_broken can't be read"),
        (a_metric("http_infinite"), "http_infinite is infinite"),
    ],
)
def test_what_cannot_be_had_is_said(metric: PrometheusMetric, why: str) -> None:
    with pytest.raises(MetricUnreadable, match=why):
        read_metric(PAGE, metric)


def test_series_are_limited() -> None:
    page = "".join(f'many{{n="{number}"}} 1\n' for number in range(SERIES_MAX + 1))

    with pytest.raises(MetricUnreadable, match="more than 1000 series"):
        read_metric(page, a_metric("many"))


@given(st.text(max_size=400))
def test_no_page_does_anything_but_fail_in_words(page: str) -> None:
    try:
        read_metric("m" + page, a_metric("m"))
    except MetricUnreadable as error:
        assert str(error)


ONE = (TaskId("one"), "key")
A, B = (("path", "/a"),), (("path", "/b"),)


def test_a_counter_counts_as_its_rate_and_a_gauge_as_it_is() -> None:
    meter = MetricMeter(window_s=10)
    other = (TaskId("two"), "key")

    values = [
        meter.take({ONE: Reading(True, {A: float(count)}), other: Reading(False, {A: 3.0, B: 4.0})}, now)
        for now, count in ((0, 100), (5, 110), (10, 150), (15, 150), (20, 160))
    ]

    assert [each.get(ONE) for each in values] == [None, 2, 5, 4, 1]
    assert {each[other] for each in values} == {7}


def test_a_counter_that_began_anew_and_a_series_that_appears() -> None:
    meter = MetricMeter()
    meter.take({ONE: Reading(True, {A: 1000.0})}, 0)

    assert meter.take({ONE: Reading(True, {A: 10.0})}, 5) == {ONE: 2}, "restarted, and grown to 10 since"
    assert meter.take({ONE: Reading(True, {A: 10.0, B: 500.0})}, 10) == {ONE: 1}, "nobody knows when B began"
    assert meter.take({}, 15) == {}
    assert meter.take({ONE: Reading(True, {A: 10.0})}, 20) == {}, "what was missed begins anew"
