"""Jobs: work that ends. What people declare (`JobPolicy`), and what the cluster remembers of it (`Job`, `JobRun`).

A job is declared as a service whose specification has a `JobPolicy`. Each execution is a run. A run has completions,
numbered slots each of which has to end with exit status 0 once; its tasks carry its id (`Task.run`) and how they ended
(`Task.outcome`). All tasks of a run are on record while it is active, so what it still has to do follows from the store
alone. Keys: `jobs/SERVICE`, `job_runs/RUN`. Decision records 0050 to 0052.
"""

from enum import StrEnum
from typing import NewType

from pydantic import Field

from swarmlet.model.frozen import Frozen
from swarmlet.model.ids import NodeId, RevisionHash, ServiceId

JOBS = "jobs/"
JOB_RUNS = "job_runs/"

RunId = NewType("RunId", str)

COMPLETIONS_MAX = 10_000
RETRIES_MAX = 1_000
HISTORY_MAX = 1_000
BACKOFF_LONGEST_S = 360.0
"""Kubernetes' own: a completion is tried again at least so often, until it has used up its retries."""


class Concurrency(StrEnum):
    """What becomes of a scheduled moment that comes while an earlier run is not over."""

    ALLOW = "allow"
    FORBID = "forbid"
    """It is skipped."""
    REPLACE = "replace"
    """The earlier run is cancelled, and the new one begins when nothing of it runs any more."""


class JobPolicy(Frozen):
    completions: int = Field(default=1, ge=1, le=COMPLETIONS_MAX)
    """How often the work has to succeed in a run. Ignored where the service's mode is global: once on every node."""
    parallelism: int = Field(default=0, ge=0, le=COMPLETIONS_MAX)
    """How many tasks of a run may be at once; 0: as many as there are completions."""
    retries: int = Field(default=3, ge=0, le=RETRIES_MAX)
    """How often one completion is tried again after a failure before its run fails."""
    backoff_s: float = Field(default=10.0, ge=0)
    """Before the first retry of a completion; doubled with each further one, up to `BACKOFF_LONGEST_S`."""
    deadline_s: float = Field(default=0.0, ge=0)
    """A run that is not over after so long has failed and its tasks are stopped; 0: never."""
    schedule: str = ""
    """Cron's five fields, or six with seconds in front; empty: run once for each revision that is deployed."""
    time_zone: str = "UTC"
    concurrency: Concurrency = Concurrency.FORBID
    history_succeeded: int = Field(default=10, ge=0, le=HISTORY_MAX)
    """Of the runs that succeeded so many are kept, the youngest."""
    history_failed: int = Field(default=10, ge=0, le=HISTORY_MAX)
    """Likewise of those that failed or were cancelled."""

    def at_once(self, completions: int) -> int:
        return min(self.parallelism or completions, completions)

    def delay_s(self, failures: int) -> float:
        """Between the given number of failures of one completion (from 1) and its next try."""
        return min(self.backoff_s * 2.0 ** min(failures - 1, 32), max(BACKOFF_LONGEST_S, self.backoff_s))


class Job(Frozen):
    """What is remembered of a job besides its runs."""

    service: ServiceId
    deployed: RevisionHash = RevisionHash("")
    """The last revision that was run because it was deployed (a job without a schedule)."""
    timetable: str = ""
    """Schedule and time zone that `decided_until` is about."""
    decided_until: float = 0.0
    """Wall time: what becomes of all scheduled moments up to here is decided. It never comes again."""
    last_number: int = 0
    """Of its runs."""
    missed: int = 0
    """Scheduled moments at which nobody was there to begin a run."""
    missed_last: float = 0.0
    skipped: int = 0
    """Scheduled moments at which an earlier run was in the way."""
    skipped_last: float = 0.0

    @property
    def key(self) -> str:
        return JOBS + self.service


class Cause(StrEnum):
    """Why a run was begun."""

    DEPLOY = "deploy"
    SCHEDULE = "schedule"
    REQUEST = "request"


class RunState(StrEnum):
    PENDING = "pending"
    """No task of it was started yet."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        return self in (RunState.PENDING, RunState.RUNNING)


class JobRun(Frozen):
    """One execution of a job, with the rules and the revision that it began with."""

    id: RunId
    service: ServiceId
    number: int
    """Counted from 1, for people."""
    revision: RevisionHash
    policy: JobPolicy
    cause: Cause
    moment: float = 0.0
    """The scheduled wall time; 0 where the cause is another."""
    nodes: tuple[NodeId, ...] = ()
    """Of a global job: the nodes that are to do it, one slot each in this order."""
    state: RunState = RunState.PENDING
    created_at: float
    started_at: float = 0.0
    """When its first task was assigned; 0 while none was."""
    ended_at: float = 0.0
    reason: str = ""
    """Why it failed or was cancelled."""
    started: int = 0
    """Tasks in all: each of them changes the run, so that two leaders can't both start some."""
    succeeded: int = 0
    """Completions reached."""
    failed: int = 0
    """Tasks that failed."""
    lost: int = 0
    """Tasks that ended because their node was lost or had to be left, or that gave way: no failure of theirs."""

    @property
    def key(self) -> str:
        return JOB_RUNS + self.id

    @property
    def completions(self) -> int:
        return len(self.nodes) or self.policy.completions


class TaskOutcome(StrEnum):
    """How a task of a run ended, as the leader wrote it down."""

    NONE = ""
    """It has not ended, or is no task of a run."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    """Its node was lost or had to be left, or it gave way to a more important task; it is tried again, which counts as
    no failure."""
    STOPPED = "stopped"
    """Its run ended before it did, or its job was removed."""
