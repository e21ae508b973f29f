"""Rollouts and revisions at one moment, for people. Pure.

Of a revision's spec only what identifies it is shown: the rest may hold secrets.
"""

from swarmlet.api.rollout_schema import RevisionView
from swarmlet.api.schema import RolloutView
from swarmlet.controllers import revisions
from swarmlet.model.ids import ServiceId
from swarmlet.model.objects import Service
from swarmlet.model.revisions import RolloutState
from swarmlet.model.rollout import FailureAction
from swarmlet.model.state import ClusterState


def rollout_view(state: ClusterState, service: Service) -> RolloutView | None:
    """None also while the stored one is of an earlier revision: the leader has not looked at the new one yet."""
    stored = state.rollouts.get(service.id)
    if stored is None or stored.value.revision != service.revision:
        return None
    rollout, declared = stored.value, service.spec.rollout
    running = rollout.state is RolloutState.RUNNING
    canary = declared.canary if running and not rollout.rollback else None
    at_step = canary is not None and rollout.step < len(canary.steps)
    return RolloutView(
        number=rollout.number,
        revision=rollout.revision,
        state=rollout.state,
        begun_at=rollout.begun_at,
        rollback=rollout.rollback,
        undoes=rollout.undoes,
        reason=rollout.reason,
        canary_percent=canary.steps[rollout.step] if canary is not None and at_step else None,
        waits=rollout.state is RolloutState.PAUSED
        or (canary is not None and at_step and canary.hold_s is None and rollout.step_reached_at > 0),
        goes_back=running
        and declared.paced(rollout.rollback).failure_action is FailureAction.ROLLBACK
        and revisions.last_healthy(revisions.history_of(state, service.id), service.revision) is not None,
    )


def revision_views(state: ClusterState, service: ServiceId) -> list[RevisionView]:
    """The youngest first."""
    stored = state.rollouts.get(service)
    current = stored.value.number if stored else 0
    return [
        RevisionView(
            service=service,
            number=number,
            revision=each.value.revision,
            image=each.value.spec.template.image,
            replicas=each.value.spec.replicas,
            mode=each.value.spec.mode,
            begun_at=each.value.begun_at,
            outcome=each.value.outcome,
            reason=each.value.reason,
            current=number == current,
        )
        for number, each in sorted(revisions.history_of(state, service).items(), reverse=True)
    ]
