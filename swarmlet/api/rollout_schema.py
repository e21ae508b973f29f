"""Rollouts and revisions, as the API says and takes them."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from swarmlet.api.schema import Schema


class RevisionView(Schema):
    service: str
    number: int
    revision: str
    image: str
    replicas: int
    mode: str
    begun_at: float
    outcome: str
    """`rolling`, `healthy`, `failed`, `aborted` or `superseded`."""
    reason: str = ""
    current: bool
    """The service is so now, or is becoming so."""


class RollbackRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    to: int | None = Field(default=None, ge=1)
    """The revision's number; null is the last healthy one before the present."""


class RolloutAction(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"


class RolloutRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    action: RolloutAction
