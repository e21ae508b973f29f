"""Why a wish about a job is refused: one line each, with the data behind it."""

from collections.abc import Sequence

from swarmlet.controllers.stack_errors import NAMES_SHOWN_MAX
from swarmlet.errors import SwarmletError
from swarmlet.model.ids import ServiceId
from swarmlet.model.job import RunId, RunState


class JobRefused(SwarmletError):
    """Something that can't be done with a job as it was asked for."""


class UnknownJob(JobRefused):
    def __init__(self, job: ServiceId, known: Sequence[ServiceId]) -> None:
        shown = ", ".join(known[:NAMES_SHOWN_MAX]) + (", …" if len(known) > NAMES_SHOWN_MAX else "")
        super().__init__(f"there is no job '{job}'; there is {shown or 'none at all'}")
        self.job = job
        self.known = tuple(known)


class UnknownRun(JobRefused):
    def __init__(self, run: RunId) -> None:
        super().__init__(f"no run has the id '{run}', or it is forgotten by now; see 'swarmlet job show'")
        self.run = run


class RunInTheWay(JobRefused):
    def __init__(self, job: ServiceId, run: RunId) -> None:
        super().__init__(
            f"run {run} of '{job}' is not over, and its policy forbids another one beside it: wait, or cancel it with "
            f"'swarmlet job cancel {run}'"
        )
        self.job = job
        self.run = run


class TooManyRuns(JobRefused):
    def __init__(self, job: ServiceId, runs_max: int) -> None:
        super().__init__(f"{runs_max} runs of '{job}' are not over, which is as many as may be: wait, or cancel one")
        self.job = job


class RunIsOver(JobRefused):
    def __init__(self, run: RunId, state: RunState) -> None:
        verb = "was" if state is RunState.CANCELLED else "has"
        super().__init__(f"run {run} is over: it {verb} {state}")
        self.run = run
        self.state = state


class NobodyToRun(JobRefused):
    def __init__(self, job: ServiceId) -> None:
        super().__init__(f"'{job}' is to be done on every node that it may be on, and there is none")
        self.job = job
