"""A peer's round trip time, smoothed as TCP does it (RFC 6298, section 2): what its probe timeout adapts to."""

GAIN = 1 / 8
VARIATION_GAIN = 1 / 4
VARIATIONS = 4.0


class RoundTrip:
    __slots__ = ("_mean_s", "_variation_s")

    def __init__(self) -> None:
        self._mean_s: float | None = None
        self._variation_s = 0.0

    def measured(self, sample_s: float) -> None:
        if self._mean_s is None:
            self._mean_s, self._variation_s = sample_s, sample_s / 2
            return
        error = sample_s - self._mean_s
        self._variation_s += VARIATION_GAIN * (abs(error) - self._variation_s)
        self._mean_s += GAIN * error

    def timeout_s(self, min_s: float, max_s: float) -> float:
        if self._mean_s is None:
            return max_s
        return min(max_s, max(min_s, self._mean_s + VARIATIONS * self._variation_s))
