"""What one look at the cluster results in: changes to propose, and what people should know."""

from collections.abc import Mapping
from dataclasses import dataclass

from swarmlet.model.ids import ServiceId
from swarmlet.model.observed import ServiceProblem
from swarmlet.model.transaction import Transaction


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    left_grace_s: float = 30.0
    """How long the tasks of a node that was stopped on purpose wait for its return before they are replaced."""
    unseen_after_s: float = 30.0
    """A node that is up on record, but that the leader's failure detector has not heard of at all for so long since
    it reached others, is down (it never came back after the whole cluster was restarted)."""
    unknown_after_s: float = 30.0
    """A stopped task of which its node says nothing for so long after it was told to stop is gone there."""
    dead_kept_max: int = 3
    """Dead tasks kept per slot, for their logs and reasons."""
    dead_kept_s: float = 900.0
    rebalance: bool = False
    """Whether the leader moves tasks by itself to make the cluster even again (see `rebalancing`)."""


DEFAULT_SETTINGS = ControllerSettings()


@dataclass(frozen=True, slots=True)
class Outcome:
    transactions: list[Transaction]
    """To be proposed in this order. After one that fails the rest is dropped and the cluster looked at again."""
    problems: Mapping[ServiceId, ServiceProblem]
    wake_at: float | None = None
    """The wall time at which the passing of time alone may change the outcome; None if never."""
