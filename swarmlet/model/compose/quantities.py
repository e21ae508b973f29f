"""Durations and sizes as Compose writes them: `1m30s`, `512m`.

Source: https://docs.docker.com/reference/compose-file/extension/#specifying-durations and #specifying-byte-values.
Durations are Go's (a sum of numbers with units); all size units are powers of 1024, as in every container engine.
"""

import re
from decimal import Decimal

from swarmlet.errors import SwarmletError
from swarmlet.model.compose.marks import shown

DURATION_S_MAX = 365 * 24 * 3600.0
"""A year: anything longer is a slip of the pen."""
SIZE_BYTES_MAX = 2**60
"""An exbibyte, well inside what engines hold in 63 bits."""

_NUMBER = r"[0-9]{1,20}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}"
_DURATION = re.compile(rf"(?:(?:{_NUMBER})(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(rf"({_NUMBER})(ns|us|µs|μs|ms|s|m|h)")
_SIZE = re.compile(rf"({_NUMBER}) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
# Exact until the one rounding at the end: 0.1 s is 0.1 and not a sum of roundings.
_SECONDS_OF = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_POWER_OF = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


class BadQuantity(SwarmletError):
    """Not a duration or size; its message ends in a remedy."""


def duration_s(text: str) -> float:
    if text == "0":
        return 0.0
    # The length limit keeps the regular expression's work small whatever it is fed.
    if len(text) > 100 or not _DURATION.fullmatch(text):
        example = f"{text}s" if text.isascii() and text.isdigit() and len(text) < 10 else "1m30s"
        raise BadQuantity(f"{shown(text)} is no duration, write a number with ms, s, m or h, like {example}")
    seconds = sum(Decimal(number) * _SECONDS_OF[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > DURATION_S_MAX:
        raise BadQuantity(f"{shown(text)} is longer than a year, write less than 8760h")
    return float(seconds)


def size_bytes(text: str) -> int:
    matched = _SIZE.fullmatch(text) if len(text) <= 40 else None
    if matched is None:
        raise BadQuantity(f"{shown(text)} is no size, write a whole number with b, k, m or g, like 512m")
    number, unit = matched.groups()
    size = Decimal(number) * 1024 ** _POWER_OF[unit.lower()]
    if size > SIZE_BYTES_MAX:
        raise BadQuantity(f"{shown(text)} is more than any host has, write a smaller size")
    return int(size)
