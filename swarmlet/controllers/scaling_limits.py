"""What stands between a recommended number of replicas and the chosen one: windows, and how much may change at a time.

Rules:
- Recommendations are kept as levels, each of which holds until the next one's moment: so a new leader knows as much as
  the one before it, and something is written only when the recommendation changes.
- Where they are too many, those that end within one slice of the window become one: a recommendation then counts for
  the window's length and a slice at most.
- Fewer replicas than there are: the highest level within the window of `scale_down`. More: the lowest one within the
  window of `scale_up`.
- A policy allows a change, within its period, of so many tasks or so many percent of what there was at its beginning.

Source: kubernetes/kubernetes pkg/controller/podautoscaler/horizontal.go (stabilizeRecommendationWithBehaviors,
convertDesiredReplicasWithBehaviorRate).
"""

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from swarmlet.model.autoscale import Autoscale, Level, ScalePolicy, ScalingRules, Select

LEVELS_MAX = 64
SLICES = 60
"""Of a window; that many, the one in which the window begins, and the present level are not too many."""
MOVES_MAX = 128

Limited = tuple[int, str, float | None]
"""The number, why it is not the wanted one (empty where it is), and when time alone may change it."""


def with_level(levels: Sequence[Level], replicas: int, now: float, window_s: float) -> tuple[Level, ...]:
    """The levels with the present recommendation as the last, as far back as the window reaches."""
    kept = list(levels)
    if not kept or (kept[-1].low, kept[-1].high) != (replicas, replicas):
        kept.append(Level(since=now, low=replicas, high=replicas))
    while len(kept) > 1 and kept[1].since <= now - window_s:
        del kept[0]
    if len(kept) > LEVELS_MAX:
        kept = _coarser(kept, window_s / SLICES)
    return tuple(kept[-LEVELS_MAX:])  # more than that only if the clock was set back


def _coarser(levels: Sequence[Level], slice_s: float) -> list[Level]:
    """The levels that ended within one slice as one that covers them; the last one goes on."""
    ended = groupby(pairwise(levels), key=lambda pair: pair[1].since // slice_s)
    return [*(_covering([level for level, _ in pairs]) for _, pairs in ended), levels[-1]]


def _covering(levels: Sequence[Level]) -> Level:
    low, high = min(level.low for level in levels), max(level.high for level in levels)
    return Level(since=levels[0].since, low=low, high=high)


def stabilized(scaling: Autoscale, levels: Sequence[Level], current: int, wanted: int, now: float) -> Limited:
    """`levels` with the present recommendation as the last."""
    if wanted == current:
        return current, "", None
    up = wanted > current
    window_s = (scaling.scale_up if up else scaling.scale_down).stabilization_s
    ended = [(level, following.since) for level, following in pairwise(levels) if following.since > now - window_s]
    if up:
        number = max(current, min([wanted, *(level.low for level, _ in ended)]))
    else:
        number = min(current, max([wanted, *(level.high for level, _ in ended)]))
    if number == wanted:
        return number, "", None
    frees_at = max(until for level, until in ended if (level.low <= number if up else level.high >= number)) + window_s
    extreme = "lowest" if up else "highest"
    return number, f"the {extreme} recommendation of the last {window_s:g} s counts", frees_at


def limited(rules: ScalingRules, moves: Sequence[tuple[float, int]], current: int, wanted: int, now: float) -> Limited:
    """How far one change may go now."""
    if wanted == current:
        return current, "", None
    direction = "up" if wanted > current else "down"
    if rules.select is Select.DISABLED:
        return current, f"scaling {direction} is disabled", None
    reaches = [_reach(policy, moves, current, wanted > current, now) for policy in rules.policies]
    if not reaches:
        return wanted, "", None
    farthest = (rules.select is Select.MAX) == (wanted > current)
    reach = max(reaches) if farthest else min(reaches)
    number = min(wanted, max(reach, current)) if wanted > current else max(wanted, min(reach, current))
    if number == wanted:
        return number, "", None
    waits = [at + policy.period_s for policy in rules.policies for at, _ in moves if at + policy.period_s > now]
    # Where this very change uses the policy up, its period begins now.
    frees_at = min(waits, default=now + min(policy.period_s for policy in rules.policies))
    return number, f"the policies of scaling {direction} allow no more than {number} now", frees_at


def _reach(policy: ScalePolicy, moves: Sequence[tuple[float, int]], current: int, up: bool, now: float) -> int:
    start = current - sum(change for at, change in moves if at > now - policy.period_s)
    if up:
        return start + policy.tasks if policy.tasks else math.ceil(start * (1 + policy.percent / 100))
    return start - policy.tasks if policy.tasks else int(start * (1 - policy.percent / 100))


def recent_moves(scaling: Autoscale, moves: Sequence[tuple[float, int]], now: float) -> tuple[tuple[float, int], ...]:
    policies = (*scaling.scale_up.policies, *scaling.scale_down.policies)
    longest_s = max((policy.period_s for policy in policies), default=0.0)
    return tuple(move for move in moves if move[0] > now - longest_s)[-MOVES_MAX:]


def window_s(scaling: Autoscale) -> float:
    return max(scaling.scale_up.stabilization_s, scaling.scale_down.stabilization_s)
