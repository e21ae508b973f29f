"""What is asked of a node by `PATCH /v1/nodes/NAME` and `PUT /v1/nodes/NAME/drain`."""

from typing import Literal

from pydantic import ConfigDict, Field

from swarmlet.api.schema import Schema, TaintView


class UnwantedTaintView(Schema):
    model_config = ConfigDict(extra="forbid")

    key: str
    effect: Literal["no-schedule", "no-execute"] | None = None
    """Null means every effect."""


class NodeChange(Schema):
    """What is absent stays as it is."""

    model_config = ConfigDict(extra="forbid")

    cordoned: bool | None = None
    """False also ends a drain."""
    labels: dict[str, str | None] = Field(default_factory=dict)
    """A label with null is removed."""
    taints: list[TaintView] = Field(default_factory=list)
    """To be added; each replaces the one of the same key and effect."""
    untaint: list[UnwantedTaintView] = Field(default_factory=list)


class DrainRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    deadline_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """In so many seconds what is left there is stopped, whatever it costs; null never does that."""
