"""What the API says and takes about rebalancing."""

from pydantic import ConfigDict, Field

from swarmlet.api.schema import Schema

MOVES_MAX = 50


class RebalanceRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    dry_run: bool = False
    """Only show."""
    moves_max: int = Field(default=MOVES_MAX, ge=1, le=MOVES_MAX)


class MoveView(Schema):
    task: str
    service: str
    source: str
    target: str
    why: str


class RebalanceReply(Schema):
    revision: int
    moves: list[MoveView]
