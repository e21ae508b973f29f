"""How many replicas each metric of an autoscaled service asks for, and why. Kubernetes' replica calculator.

Rules, for each metric:
- The ratio is what the ready tasks use together over what they would use on target; so many times their number is
  proposed, rounded up. A ratio within the tolerance of 1 proposes what there is.
- A ready task without a figure is assumed to use all that it reserves (at least its target) where fewer tasks would be
  proposed, and nothing where more would be. A task that is not ready is assumed to use nothing where more would be.
- Assumptions only ever dampen: where they turn the direction, what there is stays.
- A metric that no ready task has a figure of proposes nothing.

Source: kubernetes/kubernetes pkg/controller/podautoscaler/replica_calculator.go (calcPlainMetricReplicas).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from swarmlet.model.autoscale import Autoscale, PrometheusMetric
from swarmlet.model.spec import TaskTemplate
from swarmlet.model.usage import TaskUsage

DIGITS = 6
"""A number of tasks is rounded up after so many: 3.0000000004 is three."""


@dataclass(frozen=True, slots=True)
class ScaledTask:
    """A task that counts: it is to run, and has not ended for good."""

    template: TaskTemplate
    ready: bool
    usage: TaskUsage | None
    """None where its node has said nothing that counts now."""


@dataclass(frozen=True, slots=True)
class Proposal:
    metric: str
    replicas: int | None
    """None: nothing can be said."""
    why: str


@dataclass(frozen=True, slots=True)
class _Part:
    """One task's part in an average."""

    value: float | None
    target: float
    assumed: float
    """What it uses at least, where it has no figure and fewer tasks would be proposed."""


def proposals(scaling: Autoscale, current: int, template: TaskTemplate, tasks: Sequence[ScaledTask]) -> list[Proposal]:
    """One for each metric, in the order declared. A seat without a task counts as a task that isn't ready."""
    unplaced = max(0, current - len(tasks))
    everyone = [*tasks, *(ScaledTask(template, ready=False, usage=None) for _ in range(unplaced))]
    found: list[Proposal] = []
    if scaling.cpu_percent:
        share = scaling.cpu_percent / 100
        of_task = _share_of(cpu_base_milli, lambda usage: usage.cpu_milli, share)
        found.append(_propose("cpu", scaling.cpu_percent, " %", everyone, of_task, current, scaling.tolerance))
    if scaling.memory_percent:
        share = scaling.memory_percent / 100
        of_task = _share_of(memory_base_bytes, lambda usage: usage.memory_bytes, share)
        found.append(_propose("memory", scaling.memory_percent, " %", everyone, of_task, current, scaling.tolerance))
    for metric in scaling.metrics:
        of_task = _own_metric(metric)
        found.append(_propose(metric.name, metric.target_average, "", everyone, of_task, current, scaling.tolerance))
    return found


def cpu_base_milli(template: TaskTemplate) -> float:
    """What percentages are of: the reservation, else the limit; 0 where neither is said."""
    return (template.reservations.cpus or template.limits.cpus) * 1000


def memory_base_bytes(template: TaskTemplate) -> float:
    return float(template.reservations.memory_bytes or template.limits.memory_bytes)


def _share_of(
    base: Callable[[TaskTemplate], float], used: Callable[[TaskUsage], float], share: float
) -> Callable[[ScaledTask], _Part | None]:
    def part(task: ScaledTask) -> _Part | None:
        whole = base(task.template)
        if not whole:
            return None  # of an older revision, which nothing can be said of
        value = None if task.usage is None else used(task.usage)
        return _Part(value, whole * share, whole * max(1.0, share))

    return part


def _own_metric(metric: PrometheusMetric) -> Callable[[ScaledTask], _Part | None]:
    key = metric.key

    def part(task: ScaledTask) -> _Part | None:
        value = None if task.usage is None else task.usage.metrics.get(key)
        return _Part(value, metric.target_average, metric.target_average)

    return part


def _propose(
    metric: str,
    target: float,
    unit: str,
    tasks: Sequence[ScaledTask],
    of_task: Callable[[ScaledTask], _Part | None],
    current: int,
    tolerance: float,
) -> Proposal:
    parts = [(task.ready, part) for task in tasks if (part := of_task(task)) is not None]
    ready = [part for is_ready, part in parts if is_ready]
    measured = [part for part in ready if part.value is not None]
    missing = [part for part in ready if part.value is None]
    unready = [part for is_ready, part in parts if not is_ready]
    if not measured:
        return Proposal(metric, None, _why_nothing(metric, len(ready), tasks))
    ratio = _ratio([part.value or 0.0 for part in measured], measured)
    replicas = _dampened(ratio, measured, missing, unready, current, tolerance)
    average = f"{ratio * target:.4g}{unit}"
    text = f"{metric} {average} on average over {_count(len(measured), 'task')}, target {target:g}{unit}"
    others = [f"{len(missing)} without a figure"] * bool(missing) + [f"{len(unready)} not ready"] * bool(unready)
    if others:
        text += f" ({', '.join(others)})"
    return Proposal(metric, replicas, f"{text} -> {_count(replicas, 'replica')}")


def _dampened(
    ratio: float, measured: list[_Part], missing: list[_Part], unready: list[_Part], current: int, tolerance: float
) -> int:
    unready_count = ratio > 1 and bool(unready)
    if not missing and not unready_count:
        return current if abs(1 - ratio) <= tolerance else _ceil(ratio * len(measured))
    values = [part.value or 0.0 for part in measured]
    values += [part.assumed if ratio < 1 else 0.0 for part in missing]
    counted = measured + missing
    if unready_count:
        values += [0.0] * len(unready)
        counted = counted + unready
    dampened = _ratio(values, counted)
    if abs(1 - dampened) <= tolerance or (ratio < 1) != (dampened < 1):
        return current
    replicas = _ceil(dampened * len(counted))
    turned = replicas > current if dampened < 1 else replicas < current
    return current if turned else replicas


def _ratio(values: Sequence[float], parts: Sequence[_Part]) -> float:
    return math.fsum(values) / math.fsum(part.target for part in parts)


def _ceil(number: float) -> int:
    return math.ceil(round(number, DIGITS))


def _why_nothing(metric: str, ready: int, tasks: Iterable[ScaledTask]) -> str:
    if not ready:
        return f"{metric}: no task is ready"
    said = next((task.usage.problem for task in tasks if task.usage is not None and task.usage.problem), "")
    if metric in ("cpu", "memory"):
        said = ""
    return f"{metric}: no figure of any of {_count(ready, 'ready task')}" + (f": {said}" if said else " yet")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
