"""What the API says of an autoscaled service."""

from pydantic import Field

from swarmlet.api.schema import Schema


class MetricProposal(Schema):
    metric: str
    replicas: int | None
    """How many it asks for; null where it can't be had."""
    why: str


class RecommendationView(Schema):
    since: float
    replicas: int


class ScaleChangeView(Schema):
    at: float
    before: int
    after: int
    why: str


class ScalingView(Schema):
    """Derived at the moment of asking, by the rules that the leader acts on."""

    service: str
    replicas: int
    autoscaled: bool
    """False: the number is as declared, and nothing below says more."""
    replicas_min: int = 0
    replicas_max: int = 0
    recommended: int = 0
    """By the metrics, within the bounds."""
    wanted: int = 0
    """After windows and policies: what the leader makes of it now."""
    proposals: list[MetricProposal] = Field(default_factory=list)
    reasons: list[str] = Field(default_factory=list)
    """Why the number is not what the metrics ask for."""
    changes_at: float | None = None
    """When time alone may change it."""
    recommendations: list[RecommendationView] = Field(default_factory=list)
    """Of the window, the oldest first: each held until the next."""
    changes: list[ScaleChangeView] = Field(default_factory=list)
    """The last ones, the youngest first."""
