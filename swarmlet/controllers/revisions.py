"""The history of a service: what is noted down when a revision is begun, proves healthy or fails, and where to go back.

Rules: numbers rise and are never given twice while the service exists; going back to an old revision makes a new one
with the old spec, so that the history reads as what happened. Kept are the last `HISTORY_MAX`, and the last healthy one
whatever its age: without it nothing could be rolled back to. All of it goes when its service does.
"""

from collections.abc import Iterator, Mapping

from swarmlet.controllers.autoscaling import kept_replicas
from swarmlet.controllers.pod_tasks import members
from swarmlet.controllers.steps import Step
from swarmlet.model.ids import RevisionHash, ServiceId
from swarmlet.model.objects import SERVICES, Service
from swarmlet.model.revisions import (
    HISTORY_MAX,
    NOBODY,
    REASON_CHARS_MAX,
    Revision,
    RevisionOutcome,
    Rollout,
    RolloutState,
)
from swarmlet.model.spec import ServiceSpec
from swarmlet.model.state import ClusterState, Versioned
from swarmlet.model.transaction import Compare, Delete, Operation, put

History = Mapping[int, Versioned[Revision]]


def history_of(state: ClusterState, service: ServiceId) -> History:
    return state.history.get(service, {})


def last_healthy(history: History, but: RevisionHash) -> Revision | None:
    """The youngest revision that was rolled out to its end and is another than this one."""
    healthy = (
        each.value
        for each in history.values()
        if each.value.outcome is RevisionOutcome.HEALTHY and each.value.revision != but
    )
    return max(healthy, key=lambda each: each.number, default=None)


def before(state: ClusterState, service: Service) -> Service | None:
    """The service as its last healthy revision, where a task of that one could sit in a seat of the present one."""
    found = last_healthy(history_of(state, service.id), service.revision)
    if found is None or _kind(found.spec) != _kind(service.spec):
        return None
    return service.model_copy(update={"spec": found.spec, "revision": found.revision})


def _kind(spec: ServiceSpec) -> tuple[object, ...]:
    return spec.mode, spec.job is None, spec.template.pod, spec.template.exclusive


def next_number(history: History, stored: Versioned[Rollout] | None) -> int:
    return max((*history, stored.value.number if stored else 0)) + 1


def has_traffic(stored: Rollout | None) -> RevisionHash:
    """The one revision whose tasks get all connections; empty where it is no single one."""
    if stored is None:
        return NOBODY
    return stored.serving or (stored.revision if stored.state is RolloutState.DONE else NOBODY)


def begin(
    state: ClusterState,
    service: Service,
    rollout: Rollout,
    outcome: RevisionOutcome = RevisionOutcome.ROLLING,
    closing: RevisionOutcome = RevisionOutcome.SUPERSEDED,
    why: str = "",
) -> Step:
    """Note a rollout down with its revision, close the unfinished one before it, and forget what is too old."""
    history, stored = history_of(state, service.id), state.rollouts.get(service.id)
    revision = Revision(
        service=service.id,
        number=rollout.number,
        revision=service.revision,
        spec=service.spec,
        begun_at=rollout.begun_at,
        outcome=outcome,
        reason=rollout.reason,
    )
    compares = [Compare(rollout.key, stored.revision if stored else 0), Compare(revision.key, 0)]
    operations: list[Operation] = [put(rollout.key, rollout), put(revision.key, revision)]
    before = history.get(stored.value.number) if stored else None
    if before is not None and before.value.outcome is RevisionOutcome.ROLLING:
        closed = before.value.model_copy(update={"outcome": closing, "reason": why[:REASON_CHARS_MAX]})
        compares.append(Compare(closed.key, before.revision))
        operations.append(put(closed.key, closed))
    for old in _too_old(history):
        compares.append(Compare(old.value.key, old.revision))
        operations.append(Delete(old.value.key))
    return Step(tuple(compares), tuple(operations))


def going_back(
    state: ClusterState,
    service: Versioned[Service],
    number: int,
    now: float,
    *,
    closing: RevisionOutcome,
    why: str,
    keep_replicas: bool,
) -> Step:
    """The whole service becomes what it was as that revision, by a rollout of its own. `number` is on record."""
    before, target = service.value, history_of(state, service.value.id)[number]
    stored = state.rollouts.get(before.id)
    # How many there are is no part of a version; what somebody said since the rollout began stays said.
    keeps = keep_replicas or (stored is not None and stored.value.replicas != before.spec.replicas)
    spec = target.value.spec
    spec = spec.model_copy(update={"replicas": _replicas_after(state, before, spec, keeps=keeps)})
    after = before.model_copy(update={"spec": spec, "revision": target.value.revision})
    rollout = Rollout(
        service=before.id,
        number=next_number(history_of(state, before.id), stored),
        revision=after.revision,
        begun_at=now,
        replicas=spec.replicas,
        rollback=True,
        undoes=before.revision,
        reason=f"back to revision {number}: {why}"[:REASON_CHARS_MAX],
        serving=has_traffic(stored.value if stored else None) if spec.rollout.blue_green else NOBODY,
    )
    compares = (Compare(before.key, service.revision), Compare(target.value.key, target.revision))
    step = begin(state, after, rollout, closing=closing, why=why)
    return Step(compares, (put(after.key, after),)) + step


def _replicas_after(state: ClusterState, before: Service, spec: ServiceSpec, *, keeps: bool) -> int:
    """How many tasks a service that goes back to `spec` will have, within what that allows."""
    if keeps:
        spec = spec.model_copy(update={"replicas": before.spec.replicas})
    if spec.template.exclusive:
        return min(spec.replicas, 1)
    sharing = members(state).get((before.stack, spec.template.pod), ())
    pod = next((each.spec.replicas for each in sharing if each.id != before.id), None)
    return kept_replicas(spec, before.spec) if pod is None else pod


def _too_old(history: History) -> Iterator[Versioned[Revision]]:
    """What has to go to make room for one more."""
    numbers = sorted(history)
    healthy = [number for number in numbers if history[number].value.outcome is RevisionOutcome.HEALTHY]
    for number in numbers[: max(0, len(numbers) + 1 - HISTORY_MAX)]:
        if number != max(healthy, default=0):
            yield history[number]


def noted(history: History, number: int, changes: Mapping[str, object]) -> Step:
    """A change of what is on record of a revision; an empty step where nothing changes."""
    before = history.get(number)
    after = before.value.model_copy(update=changes) if before else None
    if before is None or after is None or after == before.value:
        return Step((), ())
    return Step((Compare(after.key, before.revision),), (put(after.key, after),))


def clear(state: ClusterState) -> list[Step]:
    """The rollouts and histories of services that are no more."""
    steps = []
    for service, stored in sorted(state.rollouts.items()):
        if service not in state.services:
            gone = Compare(SERVICES + service, 0)
            steps.append(Step((gone, Compare(stored.value.key, stored.revision)), (Delete(stored.value.key),)))
    for service, history in sorted(state.history.items()):
        if service not in state.services:
            gone = Compare(SERVICES + service, 0)
            steps += [
                Step((gone, Compare(each.value.key, each.revision)), (Delete(each.value.key),))
                for _, each in sorted(history.items())
            ]
    return steps
