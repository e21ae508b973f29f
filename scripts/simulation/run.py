"""The command: schedules in several processes, a line of progress, a summary, and the way to replay a failure."""

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, fields

import structlog
from sim_planted import BUGS, SCHEDULES_MAX, Planted, find, is_natural
from sim_profiles import PROFILES
from sim_schedule import Tally, run_schedule
from sim_violation import Violation

SEEDS = 100
PROGRESS_S = 5.0
TRACE_LINES_SHOWN = 60
FAILURES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    profile: str
    seed: int
    tally: Tally
    violation: str = ""
    trace: str = ""


def main() -> int:
    options = _options()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # damaged logs are what is looked for
    if options.planted:
        return _find_planted(options.jobs)
    names = [options.profile] if options.profile else list(PROFILES)
    wanted = [(name, seed) for seed in range(options.first, options.first + options.seeds) for name in names]
    wanted = wanted[: options.schedules] if options.schedules else wanted
    began_at = shown_at = time.monotonic()
    total, failures = Tally(), 0
    for done, outcome in enumerate(_outcomes(wanted, options.jobs), 1):
        total.add(outcome.tally)
        if outcome.violation:
            failures += 1
            if failures <= FAILURES_SHOWN:
                _show_failure(outcome, options.trace)
        elif options.trace:
            print(outcome.trace)
        if time.monotonic() - shown_at >= PROGRESS_S or done == len(wanted):
            shown_at = time.monotonic()
            print(f"{done} of {len(wanted)} schedules, {failures} violations, {shown_at - began_at:.0f} s", flush=True)
    print(_summary(total, failures, names, time.monotonic() - began_at))
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many, of each profile (default {SEEDS})")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--schedules", type=int, help="at most so many in all")
    parser.add_argument("--profile", choices=PROFILES, help="only this one (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a CPU)")
    parser.add_argument("--trace", action="store_true", help="print what happened, of good schedules too")
    parser.add_argument("--planted", action="store_true", help="plant each known bug and say which schedule finds it")
    return parser.parse_args()


def _outcomes(wanted: list[tuple[str, int]], jobs: int) -> Iterator[Outcome]:
    if jobs == 1 or len(wanted) == 1:
        yield from map(_run, wanted)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _quiet) as pool:
        yield from pool.imap_unordered(_run, wanted, chunksize=max(1, min(20, len(wanted) // (4 * jobs))))


def _quiet() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())


def _run(which: tuple[str, int]) -> Outcome:
    profile, seed = which
    try:
        schedule = run_schedule(PROFILES[profile], seed)
    except Exception as error:  # noqa: BLE001 - whatever the code raises here it would raise in production
        trace = "\n".join(getattr(error, "__notes__", ()))
        what = "".join(traceback.format_exception_only(error)).split("the last that happened:")[0]
        if not isinstance(error, Violation):
            what += "".join(traceback.format_tb(error.__traceback__)[-3:])
        return Outcome(profile, seed, Tally(schedules=1), what.strip(), trace)
    return Outcome(profile, seed, schedule.tally, trace="\n".join(schedule.trace))


def _show_failure(outcome: Outcome, whole: bool) -> None:
    lines = outcome.trace.splitlines()
    print(f"\nVIOLATION in profile {outcome.profile}, seed {outcome.seed}\n{outcome.violation}")
    print("\n".join(lines if whole else lines[-TRACE_LINES_SHOWN:]))
    print("to replay it:")
    print(f"  scripts/simulate --profile {outcome.profile} --from {outcome.seed} --seeds 1 --trace\n", flush=True)


def _summary(total: Tally, failures: int, names: list[str], took_s: float) -> str:
    facts = {field.name: getattr(total, field.name) for field in fields(total)}
    counted = ", ".join(f"{fact:,.0f} {name.replace('_', ' ')}" for name, fact in facts.items())
    return f"{counted}; {failures} violations; {len(names)} profiles ({', '.join(names)}); {took_s:.0f} s"


# Planted bugs


def _find_planted(jobs: int) -> int:
    """Exit status 1 when one is not found as it should be."""
    missed = 0
    with multiprocessing.get_context("spawn").Pool(jobs, _quiet) as pool:
        for bug, schedule, violation in pool.imap(_find, range(len(BUGS))):
            natural = is_natural(bug, violation)
            missed += not natural
            what = (
                f"schedule {schedule:>4} of profile {bug.profile}" if schedule else f"not in {SCHEDULES_MAX} schedules"
            )
            print(f"{bug.name:<45} {what:<42} {violation.splitlines()[0][:90] if violation else ''}", flush=True)
    print(f"{len(BUGS) - missed} of {len(BUGS)} planted bugs found, each by the invariant natural to it")
    return 1 if missed else 0


def _find(number: int) -> tuple[Planted, int, str]:
    bug = BUGS[number]
    found = find(bug)
    return (bug, found[0], str(found[1])) if found else (bug, 0, "")


if __name__ == "__main__":
    sys.exit(main())
