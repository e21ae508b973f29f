"""How long a suspect has to refute: Lifeguard's dynamic suspicion timeout (Lifeguard, section IV-B).

The wait starts long and shrinks with the logarithm of independent confirmations, because many accusers are
hardly ever all wrong, while a single one may well be the slow node itself. A port that was refused is evidence
of another kind: it shortens the wait without any confirmation.
"""

import math
from dataclasses import dataclass, field

from swarmlet.gossip.settings import GossipSettings
from swarmlet.model.ids import NodeId


def cluster_scale(nodes: int) -> float:
    """News needs log(N) rounds to reach everyone, so a refutation is given time in proportion."""
    return max(1.0, math.log10(max(1, nodes)))


@dataclass(slots=True)
class Suspicion:
    since: float
    min_s: float
    max_s: float
    confirmations_wanted: int
    """0: nobody could confirm (a cluster of two), the wait stays at its maximum."""
    accusers: set[NodeId] = field(default_factory=set)

    @classmethod
    def begin(cls, settings: GossipSettings, accuser: NodeId, nodes: int, now: float) -> "Suspicion":
        scale = cluster_scale(nodes)
        others = max(0, nodes - 2)
        return cls(
            now,
            settings.suspicion_min_s * scale,
            settings.suspicion_max_s * scale,
            min(settings.suspicion_confirmations, others),
            {accuser},
        )

    @property
    def confirmations(self) -> int:
        return len(self.accusers) - 1

    @property
    def deadline(self) -> float:
        return self.since + self.timeout_s()

    def timeout_s(self) -> float:
        if self.confirmations_wanted == 0:
            return self.max_s
        share = math.log(self.confirmations + 1) / math.log(self.confirmations_wanted + 1)
        return max(self.min_s, self.max_s - (self.max_s - self.min_s) * share)

    def confirm(self, accuser: NodeId) -> bool:
        """True when this accuser is a new one and still counts: only then is it worth telling others."""
        if accuser in self.accusers or self.confirmations >= self.confirmations_wanted:
            return False
        self.accusers.add(accuser)
        return True

    def shorten(self, timeout_s: float) -> None:
        self.max_s = min(self.max_s, timeout_s)
        self.min_s = min(self.min_s, timeout_s)

    def postpone(self, delay_s: float) -> None:
        self.since += delay_s
