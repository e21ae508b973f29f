"""Which datagrams of one sender's session were taken already, and which are too old to be told from those.

Rules: counters rise by one with each datagram. One above the highest is new; one among the `WINDOW_SIZE` below it is
taken once; anything older is refused, seen or not. A window begins full: what was sent before it is not taken.
Source: the sliding window of IPsec (RFC 4303, section 3.4.3), as WireGuard has it too.
"""

WINDOW_SIZE = 1024
"""How far datagrams may overtake each other: a sender's counter covers all its receivers, so gaps are usual."""
FULL = (1 << WINDOW_SIZE) - 1


class ReplayWindow:
    __slots__ = ("_highest", "_seen")

    def __init__(self, highest: int) -> None:
        self._highest = highest
        self._seen = FULL
        """Bit i: whether `highest - i` was taken."""

    def admits(self, counter: int) -> bool:
        """Whether it is new; from then on it is not."""
        ahead = counter - self._highest
        if ahead > 0:
            self._seen = ((self._seen << ahead) | 1) & FULL if ahead < WINDOW_SIZE else 1
            self._highest = counter
            return True
        if -ahead >= WINDOW_SIZE or (self._seen >> -ahead) & 1:
            return False
        self._seen |= 1 << -ahead
        return True
