"""Where tasks may run: what people say of their nodes, and what services ask of them.

A node's attributes are named as in Docker Swarm: `node.id`, `node.hostname`, `node.role`, `node.platform.os`,
`node.platform.arch`, `node.labels.NAME`. Values are compared without regard to case, as Swarm does.
"""

from enum import StrEnum

from pydantic import Field

from swarmlet.model.frozen import Frozen

NODE_ID = "node.id"
HOSTNAME = "node.hostname"
ROLE = "node.role"
OS = "node.platform.os"
ARCHITECTURE = "node.platform.arch"
LABEL_PREFIX = "node.labels."
ZONE = LABEL_PREFIX + "zone"
"""A node without a label of this name has the zone of its configuration there."""

PRIORITY_MAX = 1_000
WEIGHT_MAX = 100

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "i386": "386"}


def architecture(machine: str) -> str:
    """One name for each: kernels say `x86_64` and `aarch64`, images `amd64` and `arm64`."""
    return _MACHINES.get(machine.lower(), machine.lower())


class TaintEffect(StrEnum):
    NO_SCHEDULE = "no-schedule"
    """No new task without a toleration is placed there."""
    NO_EXECUTE = "no-execute"
    """Those that run there without one are replaced elsewhere, too."""


class Taint(Frozen):
    """A node repels every task that does not tolerate it. As in Kubernetes."""

    key: str
    value: str = ""
    effect: TaintEffect = TaintEffect.NO_SCHEDULE

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


class Toleration(Frozen):
    key: str = ""
    """Empty: any taint."""
    value: str | None = None
    """None: any value."""
    effect: TaintEffect | None = None
    """None: both."""

    def tolerates(self, taint: Taint) -> bool:
        return self.key in ("", taint.key) and self.value in (None, taint.value) and self.effect in (None, taint.effect)


class Constraint(Frozen):
    """`ATTRIBUTE==VALUE` or `ATTRIBUTE!=VALUE`."""

    attribute: str
    value: str
    equal: bool = True

    def holds(self, found: str) -> bool:
        return (found.casefold() == self.value.casefold()) is self.equal

    def __str__(self) -> str:
        return f"{self.attribute}{'==' if self.equal else '!='}{self.value}"


class ServiceAffinity(Frozen):
    """Beside the tasks of a service, or away from them."""

    service: str
    """Its id, STACK.NAME."""
    away: bool = False
    per: str = NODE_ID
    """What counts as one place: nodes with the same value of this attribute."""
    required: bool = True
    weight: int = Field(default=1, ge=1, le=WEIGHT_MAX)
    """Of a wish that is not required."""


class NodePreference(Frozen):
    """Nodes that are liked better, or less; required ones are constraints."""

    constraint: Constraint
    away: bool = False
    weight: int = Field(default=1, ge=1, le=WEIGHT_MAX)


class Strategy(StrEnum):
    SPREAD = "spread"
    """Over as many nodes as there are."""
    BINPACK = "binpack"
    """On as few nodes as will do."""


class Placement(Frozen):
    """What a service asks of the nodes for its tasks. Not part of a task's template: changing it replaces none."""

    constraints: tuple[Constraint, ...] = ()
    platform: str = ""
    """`OS/ARCHITECTURE`, or `OS` alone; empty takes any."""
    spread: tuple[str, ...] = ()
    """Attributes whose values are failure domains: as evenly as can be over the first, within it over the second …"""
    per_node_max: int = Field(default=0, ge=0)
    """0 is no limit."""
    tolerations: tuple[Toleration, ...] = ()
    affinities: tuple[ServiceAffinity, ...] = ()
    preferences: tuple[NodePreference, ...] = ()
    strategy: Strategy = Strategy.SPREAD

    def tolerates(self, taint: Taint) -> bool:
        return any(toleration.tolerates(taint) for toleration in self.tolerations)
