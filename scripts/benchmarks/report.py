"""A benchmark's result: rows of a value, the peer's value beside it, and the bar where there is one."""

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "bench/results"


@dataclass(frozen=True)
class Row:
    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    bar: str = ""
    met: bool | None = None
    """None where no bar is set."""
    samples: list[float] = field(default_factory=list)
    peer_samples: list[float] = field(default_factory=list)


def row(
    name: str, samples: list[float], unit: str, *, peer: str = "", peer_samples: list[float] | None = None,
    at_most: float | None = None,
) -> Row:  # fmt: skip
    """A row of medians; `at_most` is the bar for the value itself."""
    value = statistics.median(samples)
    return Row(
        name,
        round(value, 3),
        unit,
        peer,
        round(statistics.median(peer_samples), 3) if peer_samples else None,
        f"≤ {at_most:g} {unit}" if at_most is not None else "",
        value <= at_most if at_most is not None else None,
        [round(sample, 3) for sample in samples],
    )


def ratio_row(name: str, samples: list[float], peer: str, peer_samples: list[float], at_most: float) -> Row:
    """A row of ratios pair by pair, as they were measured one after the other."""
    ratios = [ours / theirs for ours, theirs in zip(samples, peer_samples, strict=True)]
    value = statistics.median(ratios)
    return Row(
        name, round(value, 3), "×", peer, 1.0, f"≤ {at_most:g} ×", value <= at_most, [round(one, 3) for one in ratios]
    )


def compared_row(
    name: str, samples: list[float], unit: str, peer: str, peer_samples: list[float], *,
    at_least: float | None = None, at_least_ratio: float | None = None, at_most_ratio: float | None = None,
) -> Row:  # fmt: skip
    """A row of medians beside the peer's; a bar is on the value itself, or on its ratio to the peer's."""
    value = statistics.median(samples)
    peer_value = statistics.median(peer_samples) if peer_samples else None
    bar, met = "", None
    if at_least is not None:
        bar, met = f"≥ {at_least:g} {unit}", value >= at_least
    elif peer_value:
        ratio = value / peer_value
        if at_least_ratio is not None:
            bar, met = f"≥ {at_least_ratio:g} ×", ratio >= at_least_ratio
        elif at_most_ratio is not None:
            bar, met = f"≤ {at_most_ratio:g} ×", ratio <= at_most_ratio
    return Row(
        name,
        round(value, 3),
        unit,
        peer if peer_value is not None else "",
        round(peer_value, 3) if peer_value is not None else None,
        bar,
        met,
        [round(sample, 3) for sample in samples],
        [round(sample, 3) for sample in peer_samples],
    )


def finish(name: str, rows: list[Row]) -> int:
    """Print the table, write the JSON; the exit status: 1 if a bar is missed."""
    width = max(len(one.name) for one in rows)
    print(f"\n{'':{width}}  {'swarmlet':>10}  {'peer':>10}  {'ratio':>6}  bar")
    for one in rows:
        peer = f"{one.peer_value:.2f}" if one.peer_value is not None else "-"
        ratio = f"{one.value / one.peer_value:.2f}" if one.peer_value else "-"
        verdict = "" if one.met is None else ("met" if one.met else "MISSED")
        print(
            f"{one.name:{width}}  {one.value:>8.2f} {one.unit:<2} {peer:>10}  {ratio:>6}  "
            f"{one.bar} {verdict} {one.peer}"
        )
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps([asdict(one) for one in rows], indent=2, ensure_ascii=False) + "\n")
    print(f"\nwritten: {path.relative_to(RESULTS.parents[1])}")
    return 1 if any(one.met is False for one in rows) else 0
