"""`x-swarmlet: job:` and `deploy.mode: replicated-job` or `global-job`: a service that is work which ends.

Rules: either makes it a job. `deploy.replicas` says how many completions, as in Docker Swarm, unless the section does.
A task of a job is never started again by its node; `restart_policy` says how often a completion is tried again, unless
the section does.
"""

from collections.abc import Callable
from dataclasses import dataclass

from swarmlet.model.compose.deploy import Deploy
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Mapping, Node
from swarmlet.model.compose.scalars import duration, integer, one_of, positive_duration, string
from swarmlet.model.job import COMPLETIONS_MAX, HISTORY_MAX, RETRIES_MAX, Concurrency, JobPolicy
from swarmlet.model.schedule import BadSchedule, schedule_of
from swarmlet.model.spec import Mode, RestartCondition, RestartPolicy

_PATTERN = "services.*.x-swarmlet.job"
_UNSAID = JobPolicy()
ONCE = RestartPolicy(condition=RestartCondition.NEVER)
"""Of a job's tasks: who decides over another try is the leader."""


@dataclass(frozen=True, slots=True)
class JobSection:
    """None: not said."""

    node: Node
    completions: int | None
    completions_node: Node | None
    retries: int | None
    rest: JobPolicy


def read_job(node: Node, findings: Findings) -> JobSection:
    fields = Fields(node, _PATTERN, findings)
    succeeded, failed = fields.read(
        "history", lambda value: _history(value, findings), (_UNSAID.history_succeeded, _UNSAID.history_failed)
    )
    schedule = fields.read("schedule", _schedule, "")
    for key in ("time_zone", "concurrency"):
        key_node = fields.value(key)
        if key_node is not None and not fields.has("schedule"):
            message = "only means something beside a schedule, write 'schedule: \"30 2 * * *\"' or remove this"
            findings.refuse(refused(key_node, message))
    return JobSection(
        node=node,
        completions=fields.read("completions", integer(1, COMPLETIONS_MAX), None),
        completions_node=fields.value("completions"),
        retries=fields.read("retries", integer(0, RETRIES_MAX), None),
        rest=JobPolicy(
            parallelism=fields.read("parallelism", integer(1, COMPLETIONS_MAX), 0),
            backoff_s=fields.read("backoff", duration, _UNSAID.backoff_s),
            deadline_s=fields.read("deadline", positive_duration, 0.0),
            schedule=schedule,
            time_zone=fields.read("time_zone", _time_zone, _UNSAID.time_zone),
            concurrency=Concurrency(fields.read("concurrency", one_of(*Concurrency), _UNSAID.concurrency)),
            history_succeeded=succeeded,
            history_failed=failed,
        ),
    )


def job_of(
    section: JobSection | None, deploy: Deploy, restart: RestartPolicy | None, findings: Findings
) -> JobPolicy | None:
    """What a service's keys make of it together; None for one that is no job. `restart` is None where nothing says."""
    if section is None and not deploy.is_job:
        return None
    said = section.completions if section else None
    if section is not None and said is not None and section.completions_node is not None:
        if deploy.mode is Mode.GLOBAL:
            message = "a global job is done once on every node, remove this or write 'mode: replicated-job'"
            findings.refuse(refused(section.completions_node, message))
        elif deploy.replicas is not None and deploy.replicas != said:
            findings.refuse(
                refused(section.completions_node, "says something else than replicas, remove one of the two")
            )
    completions = said or deploy.replicas or 1
    retries = section.retries if section and section.retries is not None else _retries(restart)
    policy = section.rest if section else _UNSAID
    return policy.model_copy(update={"completions": completions, "retries": retries})


def _retries(restart: RestartPolicy | None) -> int:
    if restart is None:
        return _UNSAID.retries
    if restart.condition is RestartCondition.NEVER:
        return 0
    return min(restart.attempts_max, RETRIES_MAX) or _UNSAID.retries


def _history(node: Node, findings: Findings) -> tuple[int, int]:
    """One number for both kinds of runs, or one for each."""
    number: Callable[[Node], int] = integer(0, HISTORY_MAX)
    if not isinstance(node, Mapping):
        return number(node), number(node)
    fields = Fields(node, f"{_PATTERN}.history", findings)
    return (
        fields.read("succeeded", number, _UNSAID.history_succeeded),
        fields.read("failed", number, _UNSAID.history_failed),
    )


def _schedule(node: Node) -> str:
    return _checked(node, string(node), "UTC")[0]


def _time_zone(node: Node) -> str:
    return _checked(node, "@daily", string(node))[1]


def _checked(node: Node, expression: str, zone: str) -> tuple[str, str]:
    try:
        schedule_of(expression, zone)
    except BadSchedule as error:
        raise refused(node, str(error)) from error
    return expression, zone
