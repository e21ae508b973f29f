"""Whether this node hears anybody at all: one that does not is in no position to call others dead.

A node whose own network is stuck (a congested link, a starved process whose timers still fire) gets no answers from
anyone, blames everyone it probes, and can hear no refutation either. Lifeguard answers with a long wait (its beta of
6); here the wait is short, and its clock stands still instead while nothing is heard: for a limited time, so that the
survivor of a large failure comes to a verdict too. Not between two nodes, where the other's silence is all there is.
"""

from swarmlet.gossip.members import Members
from swarmlet.gossip.settings import GossipSettings


class Hearing:
    def __init__(self, members: Members, settings: GossipSettings, now: float) -> None:
        self._members, self._settings = members, settings
        self._heard_at = now

    def heard(self, now: float) -> bool:
        """Something came from another host. True if that ends a deaf time."""
        was_deaf = self.is_deaf(now)
        self._heard_at = now
        return was_deaf

    def is_deaf(self, now: float) -> bool:
        silent_s = now - self._heard_at
        settings = self._settings
        return settings.deaf_after_s < silent_s < settings.deaf_patience_s and len(self._members.live) > 1
