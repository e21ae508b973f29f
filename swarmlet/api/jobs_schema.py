"""What the API says of jobs and their runs, and what it takes."""

from pydantic import ConfigDict, Field

from swarmlet.api.schema import Schema, TaskView


class RunView(Schema):
    id: str
    job: str
    number: int
    """Counted from 1."""
    state: str
    """`pending`, `running`; `succeeded`, `failed`, `cancelled` when it is over."""
    reason: str = ""
    """Why it failed or was cancelled; while it is active, what it waits for."""
    cause: str
    """`deploy`, `schedule`, `request`."""
    moment: float | None = None
    """The scheduled wall time."""
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    completions: int
    """Wanted."""
    succeeded: int
    """Reached."""
    running: int
    """Tasks that run or start now."""
    failed: int
    """Tasks that failed."""
    lost: int
    """Tasks that ended with their node."""
    revision: str


class RunDetailView(RunView):
    tasks: list[TaskView]
    """Those that are still known; their logs can be read."""


class JobView(Schema):
    id: str
    stack: str
    name: str
    image: str
    mode: str
    completions: int | None
    """None for one on every node."""
    parallelism: int
    """0: all at once."""
    retries: int
    deadline_s: float | None
    schedule: str
    """Empty: it runs once for each revision that is deployed."""
    time_zone: str
    concurrency: str
    next_at: float | None = None
    """When it is due."""
    missed: int = 0
    """Scheduled moments at which nobody could begin a run."""
    missed_last: float | None = None
    skipped: int = 0
    """Scheduled moments at which an earlier run was in the way."""
    skipped_last: float | None = None
    active: int = 0
    """Runs that are not over."""
    last: RunView | None = None
    problem: str = ""


class JobDetailView(JobView):
    runs: list[RunView]
    """That are kept, the latest first."""


class RunRequest(Schema):
    model_config = ConfigDict(extra="forbid")

    token: str = Field(default="", max_length=100)
    """Drawn by the client: a request that is sent again with it finds the run that it began."""


class RunReply(Schema):
    revision: int
    run: str
