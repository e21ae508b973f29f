"""What people may do with a rollout: pause it, let it go on, take it back; and go back to any revision on record.

Rules: each is a transaction on what was read, refused with a reason where it makes no sense. A word from somebody never
touches a task: the controllers do, at their next look.
"""

from swarmlet.controllers import revisions
from swarmlet.controllers.known import known_service
from swarmlet.controllers.stack_errors import StackRefused
from swarmlet.model.ids import ServiceId
from swarmlet.model.revisions import Revision, RevisionOutcome, Rollout, RolloutState
from swarmlet.model.state import ClusterState, Versioned
from swarmlet.model.transaction import Compare, Transaction, put


class NoRollout(StackRefused):
    def __init__(self, service: ServiceId, what: str) -> None:
        super().__init__(f"'{service}' has no rollout to {what}: see 'swarmlet rollout status {service}'")
        self.service = service


class NoSuchRevision(StackRefused):
    def __init__(self, service: ServiceId, number: int, known: list[int]) -> None:
        kept = ", ".join(map(str, known)) or "none"
        super().__init__(f"'{service}' has no revision {number} on record; there is {kept}")
        self.service = service
        self.number = number


class NothingToGoBackTo(StackRefused):
    def __init__(self, service: ServiceId) -> None:
        super().__init__(f"'{service}' has no other healthy revision on record to go back to")
        self.service = service


class IsRevisionAlready(StackRefused):
    def __init__(self, service: ServiceId, number: int) -> None:
        super().__init__(f"'{service}' is as in revision {number} already")
        self.service = service


def pause(state: ClusterState, service: ServiceId, reason: str) -> Transaction:
    stored = _rollout(state, service, "pause")
    if stored.value.state is not RolloutState.RUNNING:
        raise NoRollout(service, "pause")
    return _changed(stored, f"pause the rollout of {service}", state=RolloutState.PAUSED, reason=reason)


def resume(state: ClusterState, service: ServiceId, now: float) -> Transaction:
    """Go on with a paused rollout, or from a canary step that waits for somebody."""
    stored = _rollout(state, service, "resume")
    rollout, why = stored.value, f"resume the rollout of {service}"
    if rollout.state is RolloutState.PAUSED:
        return _changed(stored, why, state=RolloutState.RUNNING, reason="", judged_from=now)
    if rollout.state is RolloutState.RUNNING and rollout.step_reached_at:
        return _changed(stored, why, step=rollout.step + 1, step_reached_at=0.0, judged_from=now)
    raise NoRollout(service, "resume")


def abort(state: ClusterState, service: ServiceId, now: float) -> Transaction:
    """Take back a rollout that is not done: the whole service becomes the last healthy revision again."""
    stored = _rollout(state, service, "abort")
    if stored.value.state is RolloutState.DONE or stored.value.rollback:
        raise NoRollout(service, "abort")
    found = state.services[service]
    target = revisions.last_healthy(revisions.history_of(state, service), found.value.revision)
    if target is None:
        raise NothingToGoBackTo(service)
    step = revisions.going_back(
        state, found, target.number, now, closing=RevisionOutcome.ABORTED, why="aborted", keep_replicas=False
    )
    return Transaction(step.compares, step.operations, reason=f"abort the rollout of {service}")


def rollback(state: ClusterState, service: ServiceId, number: int | None, now: float) -> Transaction:
    """Go back to a revision on record, whatever became of it; None: to the last healthy one before the present."""
    found = known_service(state, service)
    history = revisions.history_of(state, service)
    target = _target(service, history, number) if number is not None else None
    if target is None:
        target = revisions.last_healthy(history, found.value.revision)
    if target is None:
        raise NothingToGoBackTo(service)
    if target.revision == found.value.revision:
        raise IsRevisionAlready(service, target.number)
    step = revisions.going_back(
        state, found, target.number, now, closing=RevisionOutcome.ABORTED, why="asked for", keep_replicas=True
    )
    return Transaction(step.compares, step.operations, reason=f"roll {service} back to revision {target.number}")


def _target(service: ServiceId, history: revisions.History, number: int) -> Revision:
    if number not in history:
        raise NoSuchRevision(service, number, sorted(history))
    return history[number].value


def _rollout(state: ClusterState, service: ServiceId, what: str) -> Versioned[Rollout]:
    found = known_service(state, service)
    stored = state.rollouts.get(service)
    if stored is None or stored.value.revision != found.value.revision:
        raise NoRollout(service, what)
    return stored


def _changed(stored: Versioned[Rollout], why: str, **changes: object) -> Transaction:
    after = stored.value.model_copy(update=changes)
    return Transaction((Compare(after.key, stored.revision),), (put(after.key, after),), reason=why)
