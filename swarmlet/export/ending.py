"""Services that end by themselves, without being jobs: the Job that they are, and how often it is tried again.

Rules: each task is on its own, as here, so several of them are indices with retries of their own, of which one that
fails ends no other. Where something in a pod may run once only, nothing in it is tried again.
"""

from collections.abc import Sequence

from swarmlet.export.document import Document, said
from swarmlet.export.members import Group, Member
from swarmlet.model.spec import RestartCondition

UNLIMITED = 2**31 - 1
"""The largest number that is taken. Left out, the limit would be 6."""


def restart_policy(group: Group) -> str:
    """Of its pods."""
    if not group.is_job:
        return "Always"
    # Indices have retries only with pods that are never restarted.
    has_indices = group.first.spec.job is not None or group.first.spec.replicas > 1
    return "Never" if has_indices or _runs_once(group.members) else "OnFailure"


def _runs_once(members: Sequence[Member]) -> bool:
    return any(each.spec.template.restart.condition is RestartCondition.NEVER for each in members)


def ending_job(group: Group, pod: Document) -> Document:
    first, names = group.first, group.first.names.of_pod()
    retries = _retries(group)
    replicas = first.spec.replicas
    several = {"completionMode": "Indexed", "backoffLimitPerIndex": retries}
    limits = several if replicas > 1 else {"backoffLimit": retries}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": names.metadata(),
        "spec": said({"completions": replicas, "parallelism": replicas, **limits, "template": pod}),
    }


def _retries(group: Group) -> int:
    members = group.members
    group.first.notes.add("restart", "it ends, so it is a Job there: delete it before you apply another version")
    if _runs_once(members):
        for each in members:
            again = each.spec.template.restart.condition is not RestartCondition.NEVER
            each.notes.add_if(again, "restart", "is not tried again, since another member of its pod must not be")
        return 0
    attempts = [each.spec.template.restart.attempts_max for each in members]
    return max(attempts) if all(attempts) else UNLIMITED
