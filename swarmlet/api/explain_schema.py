"""What the API says of where tasks go, and why."""

from pydantic import Field

from swarmlet.api.schema import Schema


class RuleVerdictView(Schema):
    rule: str
    refused: bool
    text: str
    value: float | None = None
    """Of a score, lower is better; null for a filter."""


class NodeVerdictView(Schema):
    node: str
    node_id: str
    accepted: bool
    rules: list[RuleVerdictView]


class PlacementExplanation(Schema):
    service: str
    task: str = ""
    """Empty: one more task of the service."""
    node: str = ""
    """Where the task is."""
    node_id: str = ""
    state: str = ""
    """Of the task: what it is told to do and what its node says of it, in words."""
    leaves: str = ""
    """Why it is to leave its node."""
    priority: int = 0
    nodes: list[NodeVerdictView] = Field(default_factory=list)
    """As if the task were placed now: the best node first, those that refuse it last."""
