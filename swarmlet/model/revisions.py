"""What the store knows of a service's rollouts: the present (or last) one, and the revisions it has had.

Keys: `rollouts/SERVICE` and `history/SERVICE/NUMBER`. Both are written by the leader's controller, and by the few
commands that steer a rollout; deploys write the service alone. Both go with their service.
"""

from enum import StrEnum

from pydantic import Field

from swarmlet.model.frozen import Frozen
from swarmlet.model.ids import RevisionHash, ServiceId
from swarmlet.model.spec import ServiceSpec

ROLLOUTS = "rollouts/"
HISTORY = "history/"
HISTORY_MAX = 10
"""Revisions kept a service, besides the last healthy one: each is a whole spec, with its configs and secrets."""
REASON_CHARS_MAX = 1_000
NOBODY = RevisionHash("")


class RolloutState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    """Nothing new is begun until somebody resumes it; what is in transition is brought to its end."""
    DONE = "done"


class Rollout(Frozen):
    service: ServiceId
    number: int
    """Of the revision that it brings."""
    revision: RevisionHash
    begun_at: float
    """Wall time; like all times here."""
    state: RolloutState = RolloutState.RUNNING
    replicas: int = 0
    """How many tasks the service was to have when it was begun."""
    rollback: bool = False
    undoes: RevisionHash = NOBODY
    """A rollback's: the revision that it takes back."""
    reason: str = ""
    """Why it was begun (a rollback), or why it is paused."""
    judged_from: float = 0.0
    """It was resumed then: what failed before gets another chance."""
    step: int = 0
    """Canary: how many of the steps are behind it."""
    step_reached_at: float = 0.0
    """Canary: when all tasks of the present step were ready; 0 while they are not."""
    serving: RevisionHash = NOBODY
    """Blue-green: only tasks of this revision get connections. Empty: all that are ready."""

    @property
    def key(self) -> str:
        return ROLLOUTS + self.service


class RevisionOutcome(StrEnum):
    ROLLING = "rolling"
    HEALTHY = "healthy"
    """It was rolled out to its end once."""
    FAILED = "failed"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"
    """Another one was deployed before it was rolled out."""


class Revision(Frozen):
    service: ServiceId
    number: int = Field(ge=1)
    revision: RevisionHash
    spec: ServiceSpec
    """As it was when this revision was last the service's."""
    begun_at: float
    outcome: RevisionOutcome = RevisionOutcome.ROLLING
    reason: str = ""
    """Why it failed; or, of a rollback, why it was begun."""

    @property
    def key(self) -> str:
        return f"{HISTORY}{self.service}/{self.number}"
