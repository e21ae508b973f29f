"""What runs the pods of a service, or of several that share them: a Deployment; a DaemonSet for a global service, a
StatefulSet for an exclusive one, a Job for what ends."""

from swarmlet.export.document import Document, ServiceNotes, said
from swarmlet.export.ending import ending_job
from swarmlet.export.jobs import job_of
from swarmlet.export.members import Group
from swarmlet.export.metadata import ServiceNames
from swarmlet.export.quantities import seconds
from swarmlet.model.rollout import FailureAction, Order, UpdatePolicy
from swarmlet.model.spec import Mode, RestartCondition, ServiceSpec

HISTORY_KEPT = 10


def workload_of(group: Group, pod: Document, *, has_claims: bool) -> Document:
    """`pod` is the template of what it runs; with `has_claims` no two of them can be on two nodes."""
    spec, names, notes = group.first.spec, group.first.names.of_pod(), group.first.notes
    if spec.job is not None:
        return job_of(spec, spec.job, names, pod, notes)
    if group.ends:
        return ending_job(group, pod)
    _note_restarts(group)
    if spec.mode is Mode.GLOBAL:
        _note_rollout(spec, f"daemonset/{names.name}", notes)
        return _daemon_set(spec, names, pod)
    if spec.template.exclusive:
        _note_rollout(spec, f"statefulset/{names.name}", notes)
        return _stateful_set(spec, names, pod, notes)
    _note_rollout(spec, f"deployment/{names.name}", notes)
    return _deployment(spec, names, pod, notes, has_claims)


def _deployment(
    spec: ServiceSpec, names: ServiceNames, pod: Document, notes: ServiceNotes, has_claims: bool
) -> Document:
    update = spec.rollout.update
    monitor = seconds(update.monitor_s)
    one_claim = has_claims and spec.replicas <= 1 and spec.autoscale is None
    notes.add_if(
        one_claim, "deploy.update_config.order", "stop-first there, since two pods can't have its volume at a time"
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": names.metadata(),
        "spec": said(
            {
                # An autoscaler's number must not be reset by the next `kubectl apply`.
                "replicas": None if spec.autoscale else spec.replicas,
                "selector": {"matchLabels": names.selector()},
                "strategy": {"type": "Recreate"} if one_claim else _rolling(spec, update),
                "minReadySeconds": monitor or None,
                "progressDeadlineSeconds": max(seconds(spec.rollout.deadline_s, 1), monitor + 1),
                "revisionHistoryLimit": HISTORY_KEPT,
                "template": pod,
            }
        ),
    }


def _stateful_set(spec: ServiceSpec, names: ServiceNames, pod: Document, notes: ServiceNotes) -> Document:
    """The one workload there of which no two pods of one name ever run at once."""
    notes.add(
        "x-swarmlet.exclusive", "a pod on a lost node is replaced only when somebody deletes it: kubectl delete --force"
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": names.metadata(),
        "spec": said(
            {
                "replicas": spec.replicas,
                "serviceName": names.name,
                "selector": {"matchLabels": names.selector()},
                "minReadySeconds": seconds(spec.rollout.update.monitor_s) or None,
                "revisionHistoryLimit": HISTORY_KEPT,
                "template": pod,
            }
        ),
    }


def _rolling(spec: ServiceSpec, update: UpdatePolicy) -> Document:
    at_once = update.at_once(max(spec.replicas, 1))
    surge, unavailable = (at_once, 0) if update.order is Order.START_FIRST else (0, at_once)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def _daemon_set(spec: ServiceSpec, names: ServiceNames, pod: Document) -> Document:
    update = spec.rollout.update
    parallelism = update.parallelism
    at_once: int | str = "34%" if parallelism is None else parallelism or "100%"
    surge, unavailable = (at_once, 0) if update.order is Order.START_FIRST else (0, at_once)
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": names.metadata(),
        "spec": said(
            {
                "selector": {"matchLabels": names.selector()},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
                "minReadySeconds": seconds(update.monitor_s) or None,
                "revisionHistoryLimit": HISTORY_KEPT,
                "template": pod,
            }
        ),
    }


def _note_restarts(group: Group) -> None:
    for each in group.inits:
        each.notes.add(
            "restart",
            "it ends and others wait for it, so it is an init container: it runs in each new pod before the others do, "
            "and again until it succeeds",
        )
    for each in group.rest:
        restart = each.spec.template.restart
        each.notes.add_if(
            restart.condition is not RestartCondition.ALWAYS, "restart", "pods of it are restarted whenever they end"
        )
        each.notes.add_if(restart.attempts_max, "deploy.restart_policy.max_attempts", "restarts go on without end")


def _note_rollout(spec: ServiceSpec, what: str, notes: ServiceNotes) -> None:
    policy, update = spec.rollout, spec.rollout.update
    key = "deploy.update_config"
    notes.add_if(update.delay_s, f"{key}.delay", "can't be said: `monitor` is the nearest (minReadySeconds)")
    notes.add_if(update.failure_ratio_max, f"{key}.max_failure_ratio", "can't be said: a rollout waits for every pod")
    notes.add_if(
        update.failure_action is FailureAction.ROLLBACK,
        f"{key}.failure_action",
        f"nothing is rolled back by itself: kubectl rollout undo {what}",
    )
    notes.add_if(policy.rollback, "deploy.rollback_config", "a rollback goes as any rollout")
    notes.add_if(policy.canary, "x-swarmlet.rollout.canary", "can't be said without another controller")
    notes.add_if(policy.blue_green, "x-swarmlet.rollout", "blue-green can't be said without another controller")
