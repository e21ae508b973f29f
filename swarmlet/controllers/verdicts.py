"""What a rollout makes of a new task: it has stood its trial, it is under way, or it has failed, and why.

Rules: silence is no verdict, so a task on a node that does not speak has neither stood nor failed. Trouble counts once
a task is old enough to have had a second try (`patience_s`, after its start period); slowness once its `deadline_s` is
over. All of it is read off the task's record and its node's last word, so any leader comes to the same verdict.
"""

from swarmlet.controllers.view import ClusterView, Standing, TaskView
from swarmlet.model.observed import Health, Phase
from swarmlet.model.rollout import RolloutPolicy

HOPELESS_RESTARTS = 3
"""So many restarts without getting ready are no accident."""


def has_stood(view: ClusterView, each: TaskView, trial_s: float) -> bool:
    """It has been ready for so long without a break, by its node's clock."""
    if each.standing is not Standing.READY:
        return False
    stood_at = _changed_at(each) + trial_s
    view.wake_after(stood_at)
    return trial_s <= 0 or view.now >= stood_at


def failure(view: ClusterView, each: TaskView, policy: RolloutPolicy, judged_from: float) -> str:
    """Why it has failed, in words; empty while it has not."""
    if each.standing is Standing.ENDED:
        return "" if each.succeeded else trouble(each)
    if each.standing is not Standing.UNREADY:
        return ""
    begun_at = max(each.task.created_at, judged_from)
    check = each.task.template.health_check
    if is_hopeless(each):
        patient_until = begun_at + policy.patience_s + (check.start_period_s if check else 0.0)
        view.wake_after(patient_until)
        if view.now >= patient_until:
            return trouble(each)
    if is_overdue(view, each, policy, judged_from):
        return trouble(each) or f"is not ready after {policy.deadline_s:g} s"
    return ""


def is_overdue(view: ClusterView, each: TaskView, policy: RolloutPolicy, judged_from: float) -> bool:
    """Its time is over. One that was ready before, and has only now stopped being so, gets it anew."""
    if each.standing is not Standing.UNREADY:
        return False
    since = max(each.task.created_at, judged_from)
    if not is_hopeless(each):
        since = max(since, _changed_at(each))
    view.wake_after(since + policy.deadline_s)
    return view.now >= since + policy.deadline_s


def is_hopeless(each: TaskView) -> bool:
    status = each.status
    if status is None:
        return False
    waits_in_vain = status.phase in (Phase.PENDING, Phase.PULLING) and bool(status.message)
    return status.restarts >= HOPELESS_RESTARTS or status.health is Health.UNHEALTHY or waits_in_vain


def trouble(each: TaskView) -> str:
    """Why it does not get ready; empty where it may merely need a little more time."""
    status = each.status
    if status is None:
        return ""
    if status.phase is Phase.EXITED:
        return status.message or f"ended with exit status {status.exit_code}"
    if status.phase is Phase.BACKOFF or status.health is Health.UNHEALTHY:
        return status.message or ("is unhealthy" if status.health is Health.UNHEALTHY else "keeps ending")
    if status.restarts:
        last = "" if status.exit_code is None else f", the last time with exit status {status.exit_code}"
        return f"keeps ending{last}"
    if status.phase is Phase.PENDING:
        return status.message
    return ""


def _changed_at(each: TaskView) -> float:
    return max(each.status.changed_at if each.status else 0.0, each.task.created_at)
