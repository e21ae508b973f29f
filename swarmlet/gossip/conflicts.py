"""Two that claim to be one: two live nodes with one name, or two running agents with one node id.

One id twice (a copied data directory, a cloned machine) shows in two ways:
- to the agent itself: somebody announces it, above what it said, at another address; or at its own address again and
  again, although an earlier life of its own would be outbid for good by one answer;
- to everyone else: the node moves to another address and back with a new generation each time.

Both agents outbid the other whenever they hear of it, which would go on as fast as news travels. So an agent that has
found its twin answers it seldom. Conflicts are reported once each; what to do is for people to decide.
"""

from math import inf

from swarmlet.gossip.events import Conflict, ConflictKind, Member
from swarmlet.gossip.members import LIVE, Entry, Members
from swarmlet.gossip.outbox import Outbox

CONFLICTS_MAX = 1000
"""Remembered, so that each is reported once."""
FLIGHT_S = 60.0
"""A node that comes back to its earlier address within this time, as another start of its agent, is two."""
TWIN_GAP_S = 5.0
"""Between answers to a twin."""
OWN_LIVES = 3
"""Announcements above ours at our own address that earlier lives explain: copies of one may still be on their way."""
LIVES_WITHIN_S = 30.0


class Conflicts:
    def __init__(self, members: Members, outbox: Outbox) -> None:
        self._members, self._outbox = members, outbox
        self._reported: set[tuple[ConflictKind, str, str]] = set()
        self._answered_at = -inf
        self._lives = 0
        self._lives_since = -inf

    def check_name(self, member: Member) -> None:
        if member.liveness in LIVE:
            for other in self._members.namesakes(member):
                self._report(ConflictKind.NAME, *sorted((other, member), key=lambda one: one.node_id))

    def check_moved(self, entry: Entry, member: Member, now: float) -> None:
        """A newer announcement of a peer, not taken over yet."""
        before = entry.member
        if before.address == member.address or before.generation == member.generation:
            return
        if entry.moved_from == member.address and now - entry.moved_at < FLIGHT_S:
            self._report(ConflictKind.NODE_ID, before, member)
        entry.moved_from, entry.moved_at = before.address, now

    def check_twin(self, local: Member, claimed: Member, now: float) -> bool:
        """Somebody announces this node above what it said of itself. Whether to answer that now."""
        if now - self._lives_since > LIVES_WITHIN_S:
            self._lives, self._lives_since = 0, now
        self._lives += claimed.generation > local.generation
        if claimed.address == local.address and self._lives <= OWN_LIVES:
            return True
        self._report(ConflictKind.NODE_ID, local, claimed)
        if now - self._answered_at < TWIN_GAP_S:
            return False
        self._answered_at = now
        return True

    def _report(self, kind: ConflictKind, first: Member, second: Member) -> None:
        by_name = kind is ConflictKind.NAME
        low, high = sorted((first.node_id, second.node_id) if by_name else (str(first.address), str(second.address)))
        pair = (kind, low, high)
        if pair not in self._reported and len(self._reported) < CONFLICTS_MAX:
            self._reported.add(pair)
            self._outbox.emit(Conflict(kind, first.name, first, second))
