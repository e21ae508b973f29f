"""One node's records, as its owner or as a peer that holds a copy: a map of key to value where each write has the
owner's next version number.

- Of two writes to a key the higher version counts. A deletion is a write that leaves a tombstone.
- A higher generation replaces everything of the lower ones: its agent started anew.
- Tombstones are let go after a while; `floor` is the highest version among those. What is at or below it and not
  held was deleted, unless the owner itself says otherwise.
- `known` says which versions a copy has taken into account; what a peer lacks is computed from it.
- Copies are equal exactly when their fingerprints are: the XOR over a hash of key and version of each live record.
  So a copy with a gap that only overtaken writes would fill is known to be complete without any transfer, and two
  copies that differ where they should not are noticed.

After Scuttlebutt (van Renesse, Dumitriu, Gough, Thomas 2008).
"""

from collections.abc import Iterable
from hashlib import blake2b

from swarmlet.gossip.known_versions import KnownVersions, Span
from swarmlet.gossip.messages import DigestEntry, NodeDelta, RecordEntry
from swarmlet.gossip.settings import RECORDS_BYTES_MAX, RECORDS_MAX, TOMBSTONES_MAX
from swarmlet.model.ids import NodeId

Change = tuple[str, bytes | None]
"""A key whose effective value changed, and the new one (None: it is no more)."""


def _mark(key: str, version: int) -> int:
    return int.from_bytes(blake2b(b"%d %s" % (version, key.encode()), digest_size=8).digest())


class RecordCopy:
    __slots__ = (
        "_tombstones",
        "_versions",
        "fingerprint",
        "floor",
        "generation",
        "known",
        "node_id",
        "overfull",
        "size_bytes",
        "values",
    )

    def __init__(self, node_id: NodeId, generation: int = 0) -> None:
        self.node_id = node_id
        self.generation = generation
        self.known = KnownVersions()
        self.floor = 0
        self.fingerprint = 0
        self.overfull = False
        """A write was refused for want of room: the copy can't equal its original."""
        self.size_bytes = 0
        self.values: dict[str, bytes] = {}
        self._versions: dict[str, int] = {}
        self._tombstones: dict[str, tuple[int, float]] = {}
        """Version and when it was learned, the longest known first."""

    @property
    def version(self) -> int:
        """The highest one seen (the owner: the last one given out)."""
        return self.known.top

    def digest(self) -> DigestEntry:
        known = self.known
        return DigestEntry(self.node_id, self.generation, known.base, known.top_from, known.top, self.fingerprint)

    def version_of(self, key: str) -> int:
        """Of the last write to this key that we know of; 0 if we know none."""
        if key in self._versions:
            return self._versions[key]
        return self._tombstones[key][0] if key in self._tombstones else 0

    def has_room(self, key: str, value: bytes) -> bool:
        grown = self.size_bytes - self._size_of(key) + len(key) + len(value)
        return grown <= RECORDS_BYTES_MAX and (key in self.values or len(self.values) < RECORDS_MAX)

    def write(self, entry: RecordEntry, now: float) -> list[Change]:
        """Apply one write. Nothing happens if a newer one of its key is known."""
        self.known.add(entry.version, entry.version)
        if entry.version <= self.version_of(entry.key):
            return []
        before = self.values.get(entry.key)
        self._forget(entry.key)
        self._tombstones.pop(entry.key, None)
        if entry.value is None:
            self._tombstones[entry.key] = (entry.version, now)
            if len(self._tombstones) > TOMBSTONES_MAX:
                self._drop_tombstone(next(iter(self._tombstones)))
        else:
            self.values[entry.key] = entry.value
            self._versions[entry.key] = entry.version
            self.size_bytes += self._size_of(entry.key)
            self.fingerprint ^= _mark(entry.key, entry.version)
        return [(entry.key, entry.value)] if entry.value != before else []

    def begin_generation(self, generation: int) -> list[Change]:
        """Let go of everything: the owner started anew."""
        changes: list[Change] = [(key, None) for key in self.values]
        self.generation = generation
        self.floor = self.fingerprint = self.size_bytes = 0
        self.overfull = False
        self.known.clear()
        self.values.clear()
        self._versions.clear()
        self._tombstones.clear()
        return changes

    def prune(self, kept: Iterable[str], version: int) -> list[Change]:
        """Drop what a complete copy up to `version` does not have."""
        gone = [key for key in self.values.keys() - set(kept) if self._versions[key] <= version]
        for key in gone:
            self._forget(key)
        return [(key, None) for key in gone]

    def purge_tombstones(self, learned_before: float) -> None:
        """Only where nothing older is missing: a write from before the deletion could not be told from a new one."""
        base = self.known.base
        for key in [k for k, (version, at) in self._tombstones.items() if at < learned_before and version <= base]:
            self._drop_tombstone(key)

    def entries(self) -> list[RecordEntry]:
        """All writes that still count, tombstones included."""
        live = [RecordEntry(key, version, self.values[key]) for key, version in self._versions.items()]
        return live + [RecordEntry(key, version, None) for key, (version, _) in self._tombstones.items()]

    def delta_for(self, peer: DigestEntry | None) -> NodeDelta | None:
        """What a peer lacks that holds what its digest says (None: nothing). None if it lacks nothing."""
        if self.generation == 0 or (peer is not None and peer.generation > self.generation):
            return None
        theirs = KnownVersions()
        if peer is not None and peer.generation == self.generation:
            if peer.fingerprint == self.fingerprint and peer.top == self.known.top:
                return None
            theirs = peer.known
            if theirs.base < self.floor:
                return self._reset()
        elif not self.known.top:
            return NodeDelta(self.node_id, self.generation, (), ())
        spans = self.known.not_in(theirs)
        return NodeDelta(self.node_id, self.generation, tuple(spans), self._within(spans)) if spans else None

    def lacks(self, peer: DigestEntry) -> bool:
        """Whether a peer with this digest has something that is missing here."""
        if peer.generation != self.generation:
            return peer.generation > self.generation and bool(peer.top or self.values)
        return bool(peer.known.not_in(self.known))

    def compare(self, peer: DigestEntry, from_owner: bool) -> bool:
        """Learn from a digest. False if the copies differ although both have taken everything into account."""
        known = self.known
        if peer.generation != self.generation or peer.base != peer.top or peer.top != known.top:
            return True
        if peer.fingerprint == self.fingerprint:
            known.add(1, known.top)
            return True
        return not (known.gapless and from_owner) or self.overfull

    def _reset(self) -> NodeDelta:
        entries = self._within([(1, self.known.top)])
        return NodeDelta(self.node_id, self.generation, tuple(self.known.spans()), entries, True, self.floor)

    def _within(self, spans: list[Span]) -> tuple[RecordEntry, ...]:
        found = [entry for entry in self.entries() if any(first <= entry.version <= last for first, last in spans)]
        found.sort(key=lambda entry: entry.version, reverse=True)
        return tuple(found)

    def _size_of(self, key: str) -> int:
        return len(key) + len(self.values[key]) if key in self.values else 0

    def _forget(self, key: str) -> None:
        version = self._versions.pop(key, None)
        if version is not None:
            self.fingerprint ^= _mark(key, version)
            self.size_bytes -= self._size_of(key)
            del self.values[key]

    def _drop_tombstone(self, key: str) -> None:
        version, _ = self._tombstones.pop(key)
        self.floor = max(self.floor, version)
