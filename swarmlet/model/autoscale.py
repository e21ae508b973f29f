"""Horizontal autoscaling as declared, and what the cluster agrees on of it. The terms are those of Kubernetes' HPA.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ (algorithm, behavior).
"""

import hashlib
from enum import StrEnum

from pydantic import Field

from swarmlet.model.frozen import Frozen, encode
from swarmlet.model.ids import ServiceId

METRICS_MAX = 8
"""Of one service: each is scraped from every task."""
POLICIES_MAX = 8
STABILIZATION_S_MAX = 3_600.0
PERIOD_S_MAX = 1_800.0
"""Both as in Kubernetes."""

AUTOSCALING = "autoscaling/"


class Select(StrEnum):
    """Which of several policies counts."""

    MAX = "max"
    """The one that allows the largest change."""
    MIN = "min"
    DISABLED = "disabled"
    """No change in this direction at all."""


class ScalePolicy(Frozen):
    """How large a change is allowed within a period: so many percent of the tasks, or so many tasks."""

    percent: int = Field(default=0, ge=0)
    tasks: int = Field(default=0, ge=0)
    period_s: float = Field(default=15.0, gt=0)


class ScalingRules(Frozen):
    """Of one direction."""

    stabilization_s: float = Field(default=0.0, ge=0)
    """A change must have been wanted for so long."""
    policies: tuple[ScalePolicy, ...]
    select: Select = Select.MAX


SCALE_UP = ScalingRules(policies=(ScalePolicy(percent=100), ScalePolicy(tasks=4)))
SCALE_DOWN = ScalingRules(stabilization_s=300.0, policies=(ScalePolicy(percent=100),))


class PrometheusMetric(Frozen):
    """What each task says of itself at `http://TASK:port/path`: the sum of all series of the name with these labels."""

    port: int = Field(ge=1, le=65535)
    path: str = "/metrics"
    name: str
    labels: dict[str, str] = Field(default_factory=dict)
    target_average: float = Field(gt=0)
    """Of a counter: its rate each second."""

    @property
    def key(self) -> str:
        """Short, since each task's value is gossiped under it."""
        what = PrometheusMetric(
            port=self.port, path=self.path, name=self.name, labels=dict(sorted(self.labels.items())), target_average=1.0
        )
        return hashlib.sha256(encode(what)).hexdigest()[:6]


class Autoscale(Frozen):
    """The number of replicas follows what tasks use. 0 percent: not scaled by that."""

    replicas_min: int = Field(default=1, ge=1)
    replicas_max: int = Field(ge=1)
    cpu_percent: int = Field(default=0, ge=0)
    """Of what a task reserves, or of its limit where it reserves nothing; the average over all tasks."""
    memory_percent: int = Field(default=0, ge=0)
    metrics: tuple[PrometheusMetric, ...] = ()
    tolerance: float = Field(default=0.1, ge=0, le=1)
    """An average this close to its target changes nothing."""
    scale_up: ScalingRules = SCALE_UP
    scale_down: ScalingRules = SCALE_DOWN

    def bounded(self, replicas: int) -> int:
        return max(self.replicas_min, min(replicas, self.replicas_max))


class Level(Frozen):
    """How many replicas were recommended from a moment on, until the next level's."""

    since: float
    low: int
    high: int
    """Not `low` only where several levels were put together."""


class ScaleChange(Frozen):
    at: float
    before: int
    after: int
    why: str


class Autoscaling(Frozen):
    """What a leader has to know of earlier ones: an object `autoscaling/SERVICE` for each autoscaled service.

    The chosen number itself is the service's `replicas`.
    """

    service: ServiceId
    levels: tuple[Level, ...]
    """The oldest first; they reach back as far as the longest stabilization."""
    seen_at: float = 0.0
    """When a leader last looked, as far as that is written: at each change, and now and then while fewer are wanted."""
    moves: tuple[tuple[float, int], ...] = ()
    """Moment and change of each scaling within the longest period of a policy."""
    changes: tuple[ScaleChange, ...] = ()
    """The last ones, for people."""

    @property
    def key(self) -> str:
        return AUTOSCALING + self.service
