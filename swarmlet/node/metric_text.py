"""Reads one metric out of a page in Prometheus' text format, strictly where it is the metric's own line. Pure.

Rules:
- Only lines that begin with the metric's name are looked at: what else is on the page may be as odd as it likes.
- Every series with the wanted labels counts, also one that has further labels; NaN says nothing and is left out.
- A counter is what `# TYPE` says so, or a part of a histogram or summary that only grows, or, where no type is said,
  what ends in `_total`.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from swarmlet.errors import SwarmletError
from swarmlet.model.autoscale import PrometheusMetric

SERIES_MAX = 1_000
"""Of one metric at one task: more would take noticeable time, each time."""
GROWING_SUFFIXES = ("_total", "_count", "_sum", "_bucket")
_TYPE = re.compile(r"#[ \t]+TYPE[ \t]+(\S+)[ \t]+(\S+)[ \t]*")

Labels = tuple[tuple[str, str], ...]


class MetricUnreadable(SwarmletError):
    """The page does not say what it was asked for."""


@dataclass(frozen=True, slots=True)
class Reading:
    counter: bool
    series: Mapping[Labels, float]


def read_metric(page: str, metric: PrometheusMetric) -> Reading:
    """Raises `MetricUnreadable`."""
    lines = page.splitlines()
    own = [
        line
        for line in lines
        if line.startswith(metric.name) and line[len(metric.name) : len(metric.name) + 1] in "{ \t"
    ]
    if len(own) > SERIES_MAX:
        raise MetricUnreadable(f"{metric.name} has more than {SERIES_MAX} series")
    wanted = metric.labels.items()
    series: dict[Labels, float] = {}
    for labels, value in _samples(own, metric.name):
        if wanted <= labels.items() and not math.isnan(value):
            series[tuple(sorted(labels.items()))] = value
    if not series:
        raise MetricUnreadable(f"there is no {metric.name}{' with these labels' if own else ''}")
    if not all(map(math.isfinite, series.values())):
        raise MetricUnreadable(f"{metric.name} is infinite")
    return Reading(_is_counter(lines, metric.name), series)


def _samples(lines: list[str], name: str) -> Iterator[tuple[dict[str, str], float]]:
    # Only nodes that scrape need it.
    from prometheus_client.parser import text_string_to_metric_families

    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                yield sample.labels, float(sample.value)
    except (ValueError, IndexError, KeyError) as error:
        raise MetricUnreadable(f"{name} can't be read: {error}") from None


def _is_counter(lines: list[str], name: str) -> bool:
    kinds: dict[str, str] = {}
    for line in lines:
        if line.startswith("#") and (matched := _TYPE.fullmatch(line)):
            kinds[matched.group(1)] = matched.group(2)
    if name in kinds:
        return kinds[name] == "counter"
    for suffix in GROWING_SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and base in kinds:
            return kinds[base] in ("counter", "histogram", "summary")
    return name.endswith("_total")
