"""`x-swarmlet: autoscale:`, and what of the service beside it has to fit: mode, number of tasks, reservations."""

import re
from collections.abc import Callable

from swarmlet.model.autoscale import (
    METRICS_MAX,
    PERIOD_S_MAX,
    POLICIES_MAX,
    SCALE_DOWN,
    SCALE_UP,
    STABILIZATION_S_MAX,
    Autoscale,
    PrometheusMetric,
    ScalePolicy,
    ScalingRules,
    Select,
)
from swarmlet.model.compose.deploy import Deploy
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields, each
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.http_path import http_path
from swarmlet.model.compose.marks import Node, shown
from swarmlet.model.compose.ports import port_number
from swarmlet.model.compose.scalars import (
    decimal,
    duration,
    integer,
    one_of,
    pairs,
    positive_duration,
    sequence,
    string,
    text,
)
from swarmlet.model.spec import REPLICAS_MAX, Mode

_PATTERN = "services.*.x-swarmlet.autoscale"
_PROMETHEUS = f"{_PATTERN}.metrics[].prometheus"
_PERCENT = re.compile(r"([0-9]{1,4}) ?%")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}")
PERCENT_MAX = 1_000
TARGET_MAX = 1e9


def read_autoscale(node: Node, findings: Findings) -> Autoscale:
    fields = Fields(node, _PATTERN, findings)
    replicas_min = fields.read("min", integer(1, REPLICAS_MAX), 1)
    replicas_max = fields.require("max", integer(1, REPLICAS_MAX), "10")
    if replicas_max < replicas_min:
        raise refused(node, f"max is {replicas_max} and min is {replicas_min}, write a max that is at least min")
    if not any(fields.has(key) for key in ("cpu", "memory", "metrics")):
        raise fields.lack("has nothing to go by, write 'cpu: 70%', 'memory: 80%' or 'metrics:'")
    return Autoscale(
        replicas_min=replicas_min,
        replicas_max=replicas_max,
        cpu_percent=fields.read("cpu", _percent, 0),
        memory_percent=fields.read("memory", _percent, 0),
        metrics=fields.read("metrics", lambda value: _metrics(value, findings), ()),
        tolerance=fields.read("tolerance", _tolerance, 0.1),
        scale_up=fields.read("scale_up", _rules("scale_up", SCALE_UP, findings), SCALE_UP),
        scale_down=fields.read("scale_down", _rules("scale_down", SCALE_DOWN, findings), SCALE_DOWN),
    )


def check_autoscale(node: Node, scaling: Autoscale, deploy: Deploy, exclusive: bool, findings: Findings) -> None:
    """Against the rest of the service."""
    if exclusive:
        findings.refuse(refused(node, "an exclusive service has one task at most, remove this or 'exclusive'"))
    if deploy.mode is Mode.GLOBAL:
        findings.refuse(refused(node, "a global service has one task on every node, remove this or its mode"))
    for key, percent, said in (
        ("cpu", scaling.cpu_percent, deploy.reservations.cpus or deploy.limits.cpus),
        ("memory", scaling.memory_percent, deploy.reservations.memory_bytes or deploy.limits.memory_bytes),
    ):
        if percent and not said:
            amount = "cpus: 0.5" if key == "cpu" else "memory: 256m"
            message = f"{key} is a share of what is reserved, and nothing is: write '{amount}' at deploy.resources."
            findings.refuse(refused(node, f"{message}reservations (or limits)"))
    if deploy.replicas is not None and scaling.bounded(deploy.replicas) != deploy.replicas:
        message = f"the service begins with {deploy.replicas} replicas, write {scaling.replicas_min} to "
        findings.refuse(refused(node, f"{message}{scaling.replicas_max} at deploy.replicas, or remove that"))


def first_replicas(deploy: Deploy, scaling: Autoscale | None) -> int:
    """How many tasks a service begins with."""
    if deploy.replicas is not None:
        return deploy.replicas
    return scaling.replicas_min if scaling else 1


def scraped_ports(scaling: Autoscale | None) -> tuple[int, ...]:
    return tuple(sorted({metric.port for metric in scaling.metrics})) if scaling else ()


def _percent(node: Node) -> int:
    written = text(node)
    found = _PERCENT.fullmatch(written)
    if found is None or not 1 <= int(found.group(1)) <= PERCENT_MAX:
        raise refused(node, f"cannot be {shown(written)}, write a share of the reservation like 70%")
    return int(found.group(1))


def _tolerance(node: Node) -> float:
    return 0.0 if text(node) in ("0", "0.0") else decimal(1)(node)


def _metrics(node: Node, findings: Findings) -> tuple[PrometheusMetric, ...]:
    if len(sequence(node).items) > METRICS_MAX:
        raise refused(node, f"has more than {METRICS_MAX} metrics, each of which is asked of every task: write fewer")
    found = each(node, lambda item: _metric(item, findings), findings)
    if not found and not sequence(node).items:
        raise refused(node, "is empty, write '- prometheus: {port: 9100, name: …, target_average: 10}' or remove it")
    return found


def _metric(node: Node, findings: Findings) -> PrometheusMetric:
    fields = Fields(node, f"{_PATTERN}.metrics[]", findings)
    return fields.require(
        "prometheus", lambda value: _prometheus(value, findings), "{port: 9100, name: …, target_average: 10}"
    )


def _prometheus(node: Node, findings: Findings) -> PrometheusMetric:
    fields = Fields(node, _PROMETHEUS, findings)
    return PrometheusMetric(
        path=fields.read("path", http_path, "/metrics"),
        labels=fields.read("labels", _labels, {}),
        port=fields.require("port", port_number, "9100"),
        name=fields.require("name", _metric_name, "http_requests_total"),
        target_average=fields.require("target_average", decimal(TARGET_MAX), "10"),
    )


def _metric_name(node: Node) -> str:
    name = string(node)
    if not _METRIC_NAME.fullmatch(name):
        raise refused(node, f"{shown(name)} is no metric's name, write one like http_requests_total")
    return name


def _labels(node: Node) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs(node):
        if not _LABEL_NAME.fullmatch(pair.name) or pair.value is None:
            raise refused(pair.node, f"{shown(pair.name)} is no label, write NAME: value")
        found[pair.name] = pair.value
    return found


def _rules(key: str, unsaid: ScalingRules, findings: Findings) -> Callable[[Node], ScalingRules]:
    def reader(node: Node) -> ScalingRules:
        fields = Fields(node, f"{_PATTERN}.{key}", findings)
        return ScalingRules(
            stabilization_s=fields.read(
                "stabilization", _at_most(duration, STABILIZATION_S_MAX), unsaid.stabilization_s
            ),
            policies=fields.read("policies", lambda value: _policies(value, key, findings), unsaid.policies),
            select=Select(fields.read("select", one_of(*Select), Select.MAX)),
        )

    return reader


def _policies(node: Node, key: str, findings: Findings) -> tuple[ScalePolicy, ...]:
    items = sequence(node).items
    if not 1 <= len(items) <= POLICIES_MAX:
        raise refused(node, f"has {len(items)} policies, write 1 to {POLICIES_MAX}, like '- {{tasks: 4, period: 15s}}'")
    return each(node, lambda item: _policy(item, key, findings), findings)


def _policy(node: Node, key: str, findings: Findings) -> ScalePolicy:
    fields = Fields(node, f"{_PATTERN}.{key}.policies[]", findings)
    if fields.has("percent") == fields.has("tasks"):
        raise fields.lack("must say one of the two, write 'percent: 100' or 'tasks: 4'")
    return ScalePolicy(
        percent=fields.read("percent", integer(1, 10_000), 0),
        tasks=fields.read("tasks", integer(1, REPLICAS_MAX), 0),
        period_s=fields.read("period", _at_most(positive_duration, PERIOD_S_MAX), 15.0),
    )


def _at_most(reader: Callable[[Node], float], seconds_max: float) -> Callable[[Node], float]:
    def limited(node: Node) -> float:
        found = reader(node)
        if found > seconds_max:
            raise refused(node, f"{found:g} s is too long, write at most {seconds_max / 60:g}m")
        return found

    return limited
