"""Local health: a node that seems slow itself gives others more time (Lifeguard, section IV-A).

The score rises when probes fail without the nacks that should have come, when this node had to refute a suspicion
or found that it had stood still; it falls with every probe that succeeds.
"""


class Awareness:
    def __init__(self, score_max: int) -> None:
        self.score = 0
        self._score_max = score_max

    def apply(self, delta: int) -> None:
        self.score = min(self._score_max, max(0, self.score + delta))

    @property
    def multiplier(self) -> int:
        """What this node's probe waits and interval are multiplied by."""
        return self.score + 1
