"""The table of members: every node this one knows of, itself included, and who may be talked to.

Statements about a node are ordered totally by (generation, incarnation, rank of the liveness). A node raises its
generation when its agent starts and its incarnation when it refutes, so what it says of itself beats whatever was
said before; of equals the graver statement wins (SWIM, section 4.2). Hence peers agree, in whatever order they hear.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import TypeVar

from swarmlet.gossip.events import Member
from swarmlet.gossip.round_trip import RoundTrip
from swarmlet.gossip.settings import MEMBERS_MAX
from swarmlet.gossip.versions import VersionRange
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, Liveness

RANK = {Liveness.ALIVE: 0, Liveness.SUSPECT: 1, Liveness.DEAD: 2, Liveness.LEFT: 3}
LIVE = frozenset({Liveness.ALIVE, Liveness.SUSPECT})
Standing = tuple[int, int, int]
KeyT = TypeVar("KeyT")


def standing(generation: int, incarnation: int, liveness: Liveness) -> Standing:
    return generation, incarnation, RANK[liveness]


@dataclass(slots=True)
class Entry:
    member: Member
    changed_at: float
    heard_at: float = float("-inf")
    """When a datagram of its own came last."""
    round_trip: RoundTrip = field(default_factory=RoundTrip)
    moved_from: Address | None = None
    moved_at: float = float("-inf")

    @property
    def node_id(self) -> NodeId:
        return self.member.node_id

    @property
    def address(self) -> Address:
        return self.member.address

    @property
    def liveness(self) -> Liveness:
        return self.member.liveness

    @property
    def standing(self) -> Standing:
        return standing(self.member.generation, self.member.incarnation, self.member.liveness)


class Members:
    def __init__(self, local: NodeId, rng: Random) -> None:
        self._local = local
        self._rng = rng
        self._entries: dict[NodeId, Entry] = {}
        self._by_name: dict[str, tuple[NodeId, ...]] = {}
        self._by_address: dict[Address, tuple[NodeId, ...]] = {}
        self._members: dict[NodeId, Member] = {}
        self._live: list[Entry] | None = None
        self._dead: list[Entry] | None = None
        self._spoken: int | None = None
        self.view: Mapping[NodeId, Member] = MappingProxyType(self._members)

    def get(self, node_id: NodeId) -> Entry | None:
        return self._entries.get(node_id)

    def entries(self) -> list[Entry]:
        return list(self._entries.values())

    @property
    def full(self) -> bool:
        return len(self._entries) >= MEMBERS_MAX

    def put(self, member: Member, now: float) -> Entry:
        """Take over a statement that the caller found to be newer. Returns the member's entry."""
        entry = self._entries.get(member.node_id)
        if entry is None:
            assert not self.full
            entry = self._entries[member.node_id] = Entry(member, now)
            self._index(member)
        else:
            before = entry.member
            if before.liveness is not member.liveness:
                entry.changed_at = now
            entry.member = member
            if (before.name, before.address) != (member.name, member.address):
                self._unindex(before)
                self._index(member)
        self._members[member.node_id] = member
        self._live = self._dead = self._spoken = None
        return entry

    def remove(self, node_id: NodeId) -> None:
        self._unindex(self._members[node_id])
        del self._entries[node_id], self._members[node_id]
        self._live = self._dead = self._spoken = None

    @property
    def live(self) -> list[Entry]:
        """The live and the suspected peers, without this node. Not to be changed."""
        if self._live is None:
            self._live = [e for e in self._entries.values() if e.liveness in LIVE and e.node_id != self._local]
        return self._live

    @property
    def dead(self) -> list[Entry]:
        """Peers that were declared dead; not those that left. Not to be changed."""
        if self._dead is None:
            self._dead = [e for e in self._entries.values() if e.liveness is Liveness.DEAD]
        return self._dead

    def spoken_version(self, own: VersionRange) -> int:
        """The highest protocol version that this node and all its live peers read."""
        if self._spoken is None:
            highest = min((entry.member.versions.highest for entry in self.live), default=own.lowest)
            self._spoken = max(own.lowest, min(own.highest, highest))
        return self._spoken

    @property
    def node_count(self) -> int:
        """Live nodes, this one included: the N of every log(N)."""
        return len(self.live) + 1

    def some_live(self, count: int, excluded: NodeId | None = None, alive_only: bool = False) -> list[Entry]:
        """Up to `count` random live peers."""
        candidates = self.live
        if excluded is not None or alive_only:
            candidates = [
                e for e in candidates if e.node_id != excluded and (not alive_only or e.liveness is Liveness.ALIVE)
            ]
        return self.sample(candidates, count)

    def sample(self, entries: list[Entry], count: int) -> list[Entry]:
        return self._rng.sample(entries, min(count, len(entries)))

    def at_address(self, address: Address) -> list[Entry]:
        """Live peers there."""
        found = (self._entries[node_id] for node_id in self._by_address.get(address, ()))
        return [entry for entry in found if entry.liveness in LIVE and entry.node_id != self._local]

    def namesakes(self, member: Member) -> list[Member]:
        """Other live nodes of this name."""
        found = (self._members[node_id] for node_id in self._by_name.get(member.name, ()))
        return [other for other in found if other.node_id != member.node_id and other.liveness in LIVE]

    def _index(self, member: Member) -> None:
        _enter(self._by_name, member.name, member.node_id)
        _enter(self._by_address, member.address, member.node_id)

    def _unindex(self, member: Member) -> None:
        _strike(self._by_name, member.name, member.node_id)
        _strike(self._by_address, member.address, member.node_id)


def _enter(index: dict[KeyT, tuple[NodeId, ...]], key: KeyT, node_id: NodeId) -> None:
    index[key] = (*index.get(key, ()), node_id)


def _strike(index: dict[KeyT, tuple[NodeId, ...]], key: KeyT, node_id: NodeId) -> None:
    left = tuple(other for other in index[key] if other != node_id)
    if left:
        index[key] = left
    else:
        del index[key]
