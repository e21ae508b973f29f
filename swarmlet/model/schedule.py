"""When a job is to run: cron expressions in a time zone. Pure: every question names the time it is about.

Rules: five fields as in cron, or six with seconds in front, or @hourly, @daily … An hour that the clocks skip in spring
is made up for at once after it; one that comes twice in autumn has fixed times run once, as Debian's cron does it. A
schedule whose minute or hour begins with `*` goes by elapsed time. Seconds are those of the minutes that the other five
fields name, so they change none of this. Why cronsim: docs/dependencies.md, decision record 0051.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from swarmlet.errors import SwarmletError

SHORTEST_S = 5
"""Between two moments: each run is several changes of the cluster's log."""
COUNTED_MAX = 1_000
"""Moments that passed unseen are counted up to here; nobody waits for the sum over a year of outage."""
EXPRESSION_CHARS_MAX = 200
_TIES_MAX = 200
"""Moments of an hour that comes twice which cronsim may name a second time."""
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_REFERENCE = datetime(2024, 1, 1, tzinfo=UTC)


class BadSchedule(SwarmletError):
    """No schedule, or no time zone; the message ends in a remedy."""


@dataclass(frozen=True, slots=True)
class Schedule:
    minutes: str
    """Five fields: cronsim leaves out Debian's rules where there are six."""
    seconds: tuple[int, ...]
    """Of each of these minutes; in ascending order."""
    zone: ZoneInfo

    def next_after(self, moment: float) -> float | None:
        """The first scheduled wall time after this one; None if none comes within 50 years."""
        minute = self._next_minute(moment // 60 * 60 - 1)
        if minute is not None and minute + self.seconds[-1] <= moment:
            minute = self._next_minute(minute)
        if minute is None:
            return None
        return next(minute + second for second in self.seconds if minute + second > moment)

    def _next_minute(self, moment: float) -> float | None:
        moments = CronSim(self.minutes, datetime.fromtimestamp(moment, self.zone))
        for _ in range(_TIES_MAX):
            found = next(moments, None)
            if found is None:
                return None
            if found.timestamp() > moment:
                return found.timestamp()
        return None

    def between(self, after: float, until: float) -> list[float]:
        """All scheduled wall times after the first and not after the second, or the first `COUNTED_MAX` of them."""
        found: list[float] = []
        while len(found) < COUNTED_MAX:
            moment = self.next_after(found[-1] if found else after)
            if moment is None or moment > until:
                break
            found.append(moment)
        return found


@lru_cache(maxsize=256)
def schedule_of(expression: str, zone: str) -> Schedule:
    """Raises `BadSchedule`."""
    plain = " ".join(_MACROS.get(expression.strip().lower(), expression).split())
    if len(plain) > EXPRESSION_CHARS_MAX:
        raise BadSchedule(f"is longer than {EXPRESSION_CHARS_MAX} characters, write five fields like '30 2 * * *'")
    try:
        parsed = CronSim(plain, _REFERENCE)
        comes = next(parsed, None) is not None
    except CronSimError as error:
        what = str(error)[:1].lower() + str(error)[1:]
        raise BadSchedule(
            f"'{expression}' is no schedule ({what}), write five fields like '30 2 * * *' or @daily"
        ) from error
    if not comes:
        raise BadSchedule(f"'{expression}' never comes, write a day that exists, like '0 0 28 2 *'")
    seconds = sorted(parsed.seconds)
    gaps = [after - before for before, after in zip(seconds, [*seconds[1:], seconds[0] + 60], strict=True)]
    if min(gaps) < SHORTEST_S:
        raise BadSchedule(
            f"'{expression}' comes more often than every {SHORTEST_S} s, write at most '*/{SHORTEST_S} * * * * *'"
        )
    return Schedule(" ".join(parsed.parts[1:]), tuple(seconds), _zone(zone))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise BadSchedule(f"'{name}' is no time zone, write one like UTC or Europe/Berlin") from error
