"""Horizontal autoscaling: how many replicas a service has, by what its tasks use. Level-triggered and pure.

Each look goes: metrics -> proposals (`scaling_proposals`) -> the largest of them -> windows and policies
(`scaling_limits`). `assess` says the outcome with every reason on the way; any peer can ask it, the leader acts on it.
Rules:
- The chosen number is the service's `replicas`; a deploy keeps it (`kept_replicas`). What windows and policies need to
  know of earlier looks is the object `autoscaling/SERVICE`, so a new leader goes on where the last one was.
- Outside of its bounds a service is brought to the nearest at once, whatever its metrics.
- While a metric can't be had nothing is scaled down; while none can be had, what there is counts as recommended, so
  that the window of scaling down begins anew.
- A recommendation is written at most each `SETTLE_S`, however often it is looked at. While the window of scaling down
  runs, `seen_at` is written each `SEEN_S`: where nobody looked for longer (the cluster had no leader), it begins anew.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from swarmlet.controllers.scaling_limits import limited, recent_moves, stabilized, window_s, with_level
from swarmlet.controllers.scaling_proposals import Proposal, ScaledTask, proposals
from swarmlet.model.autoscale import AUTOSCALING, Autoscale, Autoscaling, Level, PrometheusMetric, ScaleChange, Select
from swarmlet.model.ids import NodeId, ServiceId, TaskId
from swarmlet.model.objects import SERVICES, Desired, Service, Task
from swarmlet.model.observed import ObservedState, Phase
from swarmlet.model.spec import Mode, ServiceSpec
from swarmlet.model.state import ClusterState, Versioned
from swarmlet.model.transaction import Compare, Delete, Transaction, put

SETTLE_S = 5.0
"""Nodes measure as often; what they say does not arrive at one moment."""
SEEN_S = 30.0
CHANGES_KEPT_MAX = 20
WHY_CHARS_MAX = 400
"""Of what is kept of a change."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the metrics, windows and policies of one service come to now."""

    current: int
    proposals: tuple[Proposal, ...]
    recommended: int
    """By the metrics alone, within the bounds."""
    wanted: int
    """After windows and policies."""
    reasons: tuple[str, ...]
    """Why it is not what was recommended; empty where it is."""
    record: Autoscaling
    """As it is to be."""
    worth_writing: bool
    look_at: float | None
    """When time alone may change it."""

    @property
    def why(self) -> str:
        """The proposals that led there, for people."""
        deciding = [each.why for each in self.proposals if each.replicas is not None]
        return "; ".join([*deciding, *self.reasons])[:WHY_CHARS_MAX]


def autoscaled(spec: ServiceSpec) -> Autoscale | None:
    return spec.autoscale if spec.mode is Mode.REPLICATED else None


def autoscaled_on(node: NodeId, state: ClusterState) -> dict[TaskId, tuple[PrometheusMetric, ...]]:
    """The node's tasks of autoscaled services, and the metrics they are to be asked for."""
    scalings = {id_: autoscaled(each.value.spec) for id_, each in state.services.items()}
    chosen = {id_: scaling.metrics for id_, scaling in scalings.items() if scaling is not None}
    if not chosen:
        return {}
    return {task.id: chosen[task.service] for task in state.tasks_on(node) if task.service in chosen}


def kept_replicas(wanted: ServiceSpec, before: ServiceSpec | None) -> int:
    """What a deploy makes of an autoscaled service's number: the one it has, within the bounds it will have."""
    if wanted.autoscale is None or wanted.mode is not Mode.REPLICATED:
        return wanted.replicas
    return wanted.autoscale.bounded(
        before.replicas if before is not None and before.mode is Mode.REPLICATED else wanted.replicas
    )


def assess(
    service: Service, tasks: Iterable[Task], record: Autoscaling | None, observed: ObservedState, now: float
) -> Assessment:
    scaling = autoscaled(service.spec)
    assert scaling is not None, f"{service.id} is not autoscaled"
    current = service.spec.replicas
    before = record or Autoscaling(service=service.id, levels=(_level(now, current),), seen_at=now)
    found = proposals(scaling, current, service.spec.template, list(_scaled(tasks, observed)))
    recommended, reasons = _recommended(scaling, found, current)
    known = before.levels
    if known[-1].high < current and now > before.seen_at + 2 * SEEN_S:
        known = (*known, _level(before.seen_at, current))  # nobody knows what was wanted since
    levels = with_level(known, recommended, now, window_s(scaling))
    waits: list[float] = []
    if scaling.bounded(current) != current:
        wanted = recommended = scaling.bounded(current)
        reasons = [f"its bounds are {scaling.replicas_min} and {scaling.replicas_max}"]
    else:
        stable, held, at = stabilized(scaling, levels, current, recommended, now)
        rules = scaling.scale_up if stable > current else scaling.scale_down
        wanted, slowed, later = limited(rules, before.moves, current, stable, now)
        reasons += [reason for reason in (held, slowed) if reason]
        waits += [moment for moment in (at, later) if moment is not None]
    after = before.model_copy(update={"levels": levels, "seen_at": now})
    due_at = now if record is None or wanted != current else _due_at(scaling, before, after, recommended < current)
    look_at = min((moment for moment in (*waits, due_at) if now < moment < math.inf), default=None)
    return Assessment(current, tuple(found), recommended, wanted, tuple(reasons), after, now >= due_at, look_at)


def _due_at(scaling: Autoscale, before: Autoscaling, after: Autoscaling, fewer_wanted: bool) -> float:
    """When it is worth writing though the number stays."""
    last, present = before.levels[-1], after.levels[-1]
    if (last.low, last.high) != (present.low, present.high):
        return last.since + SETTLE_S
    if fewer_wanted and scaling.scale_down.select is not Select.DISABLED:
        return before.seen_at + SEEN_S
    return math.inf


def _level(since: float, replicas: int) -> Level:
    return Level(since=since, low=replicas, high=replicas)


def _recommended(scaling: Autoscale, found: Sequence[Proposal], current: int) -> tuple[int, list[str]]:
    """The largest of the proposals, within the bounds, and why it is not."""
    numbers = [proposal.replicas for proposal in found if proposal.replicas is not None]
    unknown = [proposal.why for proposal in found if proposal.replicas is None]
    if not numbers:
        return current, [*unknown, "without any figure the number stays"]
    largest = max(numbers)
    if unknown and largest < current:
        return current, [*unknown, "while a metric can't be had nothing is scaled down"]
    bounded = scaling.bounded(largest)
    if bounded != largest:
        bound = "min" if bounded > largest else "max"
        unknown.append(f"{bound} is {bounded}")
    return bounded, unknown


def _scaled(tasks: Iterable[Task], observed: ObservedState) -> Iterator[ScaledTask]:
    for task in tasks:
        status = observed.status(task.node, task.id)
        if task.desired is Desired.RUN and not (status is not None and status.phase is Phase.EXITED):
            ready = status is not None and status.ready
            yield ScaledTask(task.template, ready, observed.usage_of(task.node, task.id))


@dataclass(frozen=True, slots=True)
class Scaling:
    transactions: list[Transaction]
    look_at: float | None


def scale_all(
    state: ClusterState,
    observed: ObservedState,
    tasks_of: Callable[[ServiceId], Iterable[Task]],
    now: float,
    written: Collection[str],
) -> Scaling:
    """The autoscaler's part of a look. What others of its transactions write (`written`) is left for the next look."""
    services = {
        id_: each
        for id_, each in state.services.items()
        if autoscaled(each.value.spec) and each.value.key not in written
    }
    transactions: list[Transaction] = []
    moments: list[float] = []
    for id_, versioned in sorted(services.items()):
        stored = state.autoscaling.get(id_)
        found = assess(versioned.value, tasks_of(id_), stored.value if stored else None, observed, now)
        if found.look_at is not None:
            moments.append(found.look_at)
        transactions += _transaction(versioned, stored, found, now)
    return Scaling([*transactions, *_forgotten(state, written)], min(moments, default=None))


def _transaction(
    service: Versioned[Service], stored: Versioned[Autoscaling] | None, found: Assessment, now: float
) -> Iterator[Transaction]:
    """What is worth writing: another number, or another recommendation once the last one had time to settle."""
    spec = service.value.spec
    compares = (
        Compare(service.value.key, service.revision),
        Compare(found.record.key, stored.revision if stored else 0),
    )
    if found.wanted == found.current:
        if found.worth_writing:
            reason = f"autoscaling of {service.value.id}: {found.recommended} recommended"
            yield Transaction(compares, (put(found.record.key, found.record),), reason=reason)
        return
    scaling = autoscaled(spec)
    assert scaling is not None
    change = ScaleChange(at=now, before=found.current, after=found.wanted, why=found.why)
    moves = (*found.record.moves, (now, found.wanted - found.current))
    record = found.record.model_copy(
        update={
            "moves": recent_moves(scaling, moves, now),
            "changes": (*found.record.changes, change)[-CHANGES_KEPT_MAX:],
        }
    )
    scaled = service.value.model_copy(update={"spec": spec.model_copy(update={"replicas": found.wanted})})
    reason = f"autoscaling of {service.value.id} from {found.current} to {found.wanted}: {found.why}"
    yield Transaction(compares, (put(scaled.key, scaled), put(record.key, record)), reason=reason)


def _forgotten(state: ClusterState, written: Collection[str]) -> Iterable[Transaction]:
    """Records of services that are gone, or no longer scaled by themselves."""
    for id_, stored in sorted(state.autoscaling.items()):
        service = state.services.get(id_)
        if SERVICES + id_ in written or (service is not None and autoscaled(service.value.spec)):
            continue
        compares = (
            Compare(SERVICES + id_, service.revision if service else 0),
            Compare(stored.value.key, stored.revision),
        )
        yield Transaction(compares, (Delete(AUTOSCALING + id_),), reason=f"{id_} is not autoscaled any more")
