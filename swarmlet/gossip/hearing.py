"""Whether this node hears anybody at all: one that does not blames nobody, the fault is most likely its own.

Rules:
- Anything from any peer counts: a datagram, an answer over a stream, an exchange.
- With few peers the rule is off: when all of two others are gone, silence is what is left of them.
- Silence does not hold verdicts up for ever: after `deafness_max_s` this node believes what it sees, and is alone.
- Who hears again gives running suspicions the time back in which no refutation could arrive.

It does for a node whose messages are held up what `Gossip._notice_stall` does for one that stands still as a whole.
"""

from swarmlet.gossip.settings import GossipSettings

DEAF_S = 1.0
"""Two probe intervals: with at least three peers this node is probed, and answered, several times in it."""
PEERS_MIN = 3


class Hearing:
    def __init__(self, settings: GossipSettings, now: float) -> None:
        self._settings = settings
        self._heard_at = now

    def heard(self, now: float) -> float:
        """For how long nothing was heard before, where that was long enough to be deaf; else 0."""
        gap_s, self._heard_at = now - self._heard_at, now
        return gap_s if gap_s >= DEAF_S else 0.0

    def deaf_until(self, peers: int, now: float) -> float:
        """Until when no verdict of this node counts; a time that is over where it hears."""
        if peers < PEERS_MIN or now - self._heard_at < DEAF_S:
            return now
        return self._heard_at + self._settings.deafness_max_s
