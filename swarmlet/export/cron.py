"""Schedules as Kubernetes reads them: by robfig/cron's `ParseStandard`.

Differences: it has no seconds, Sunday is 0 and never 7, macros are in lower case, `L` and `#` are unknown. Where both
fields of days restrict the days, one that begins with `*` (`*/2`) has to match as well here, as in Debian's cron; there
either will do.
"""

from swarmlet.export.document import ServiceNotes

KEY = "x-swarmlet.job.schedule"
FIELDS = 5
_SUNDAY_ALSO = 7
_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def cron_of(schedule: str, notes: ServiceNotes) -> str:
    written = schedule.split()
    if len(written) == 1:
        return written[0].lower()
    notes.add_if(len(written) > FIELDS, KEY, "seconds can't be said: it runs at the minute")
    *rest, day, month, weekday = written[-FIELDS:]
    if "L" in day.upper() or "L" in weekday.upper() or "#" in weekday:
        notes.add(KEY, "L and # are unknown there, so it is refused: write days, and let the program look at the date")
        return " ".join([*rest, day, month, weekday])
    meets_both = day.startswith("*") or weekday.startswith("*")
    notes.add_if(
        meets_both is not (_is_any(day) or _is_any(weekday)),
        KEY,
        f"days have to match both {day!r} and {weekday!r} here, and one of them there",
    )
    return " ".join([*rest, day, month, ",".join(_weekdays(term) for term in weekday.split(","))])


def _is_any(field: str) -> bool:
    """As it is understood there."""
    return any(term in ("*", "*/1") for term in field.split(","))


def _weekdays(term: str) -> str:
    """The term, or its days one by one where it has a 7."""
    span, _, step = term.partition("/")
    if span == "*":
        return term
    first, _, last = span.partition("-")
    start = _number(first)
    end = _number(last) if last else _SUNDAY_ALSO if step else start
    days = range(start, end + 1, int(step or 1))
    if _SUNDAY_ALSO not in days and not (last and end == _SUNDAY_ALSO):
        return term
    return ",".join(str(day) for day in sorted({day % _SUNDAY_ALSO for day in days}))


def _number(day: str) -> int:
    return _NAMES.index(day.upper()) if day.upper() in _NAMES else int(day)
