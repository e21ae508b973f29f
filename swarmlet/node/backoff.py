"""Exponential back-off: the delay doubles from `first_s` to `longest_s` with each attempt in a row.

Pure, and without jitter: where many would come back at once, it is added by whoever waits (see `restarts`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    first_s: float
    longest_s: float

    def __post_init__(self) -> None:
        assert 0 < self.first_s <= self.longest_s

    def delay_s(self, failures: int) -> float:
        """The wait after the given number of failures in a row (from 1)."""
        assert failures >= 1
        doublings = min(failures - 1, 64)  # a float would overflow long after the limit is reached
        return min(self.first_s * 2.0**doublings, self.longest_s)
