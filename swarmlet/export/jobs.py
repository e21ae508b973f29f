"""Jobs as Jobs and CronJobs. A completion is an index there, with its own retries; one that fails, fails the Job."""

from swarmlet.export.cron import cron_of
from swarmlet.export.document import Document, ServiceNotes, said
from swarmlet.export.metadata import ServiceNames
from swarmlet.export.quantities import seconds
from swarmlet.model.job import Concurrency, JobPolicy
from swarmlet.model.spec import Mode, ServiceSpec

USUAL_BACKOFF_S = 10.0
"""Kubernetes' own, doubled with each failure, up to six minutes."""
_CONCURRENCY = {Concurrency.ALLOW: "Allow", Concurrency.FORBID: "Forbid", Concurrency.REPLACE: "Replace"}
_KEY = "x-swarmlet.job"


def job_of(spec: ServiceSpec, policy: JobPolicy, names: ServiceNames, pod: Document, notes: ServiceNotes) -> Document:
    _note_what_is_lost(spec, policy, notes)
    job = _job(spec, policy, pod)
    if not policy.schedule:
        notes.add(_KEY, "it runs when it is applied: delete the Job before you apply another version")
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": names.metadata(), "spec": job}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": names.metadata(),
        "spec": {
            "schedule": cron_of(policy.schedule, notes),
            "timeZone": "Etc/UTC" if policy.time_zone == "UTC" else policy.time_zone,
            "concurrencyPolicy": _CONCURRENCY[policy.concurrency],
            "successfulJobsHistoryLimit": policy.history_succeeded,
            "failedJobsHistoryLimit": policy.history_failed,
            "jobTemplate": {"spec": job},
        },
    }


def _job(spec: ServiceSpec, policy: JobPolicy, pod: Document) -> Document:
    completions = 1 if spec.mode is Mode.GLOBAL else policy.completions
    return said(
        {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": policy.at_once(completions),
            "backoffLimitPerIndex": policy.retries,
            "maxFailedIndexes": 0,
            "activeDeadlineSeconds": seconds(policy.deadline_s) or None,
            "template": pod,
        }
    )


def _note_what_is_lost(spec: ServiceSpec, policy: JobPolicy, notes: ServiceNotes) -> None:
    notes.add_if(spec.mode is Mode.GLOBAL, "deploy.mode", "a job on every node can't be said: it runs once, somewhere")
    notes.add_if(spec.template.ports, "ports", "nobody reaches a Job: it has no Service")
    notes.add_if(spec.ingress, "x-swarmlet.ingress", "nobody reaches a Job: it has no Ingress")
    notes.add_if(policy.backoff_s != USUAL_BACKOFF_S, f"{_KEY}.backoff", "is 10 s there, doubled with each failure")
    notes.add_if(
        policy.completions > 1,
        f"{_KEY}.completions",
        "SWARMLET_SLOT is JOB_COMPLETION_INDEX there, which begins with 0",
    )
