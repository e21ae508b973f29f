"""One node's records, as its owner or as a peer that holds a copy: a map of key to value where each write has the
owner's next version number.

- Of two writes to a key the higher version counts. A deletion is a write that leaves a tombstone.
- A higher generation replaces everything of the lower ones: its agent started anew.
- Tombstones are let go after a while; `floor` is the highest version among those. What is at or below it and not
  held was deleted, unless the owner itself says otherwise.
- Copies are equal exactly when their fingerprints are: the XOR over a hash of key and version of each live record.
  So a lost write is noticed even where later ones arrived (a version number alone could not tell), and a write that
  was overtaken by a newer one to its key is never missed.

After Scuttlebutt (van Renesse, Dumitriu, Gough, Thomas 2008), with fingerprints in place of contiguous versions.
"""

from collections.abc import Iterable
from hashlib import blake2b

from swarmlet.gossip.messages import DigestEntry, NodeRecords, RecordEntry
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
        "node_id",
        "size_bytes",
        "values",
        "version",
    )

    def __init__(self, node_id: NodeId, generation: int = 0) -> None:
        self.node_id = node_id
        self.generation = generation
        self.version = 0
        """The highest one seen (the owner: the last one given out)."""
        self.floor = 0
        self.fingerprint = 0
        self.size_bytes = 0
        self.values: dict[str, bytes] = {}
        self._versions: dict[str, int] = {}
        self._tombstones: dict[str, tuple[int, float]] = {}
        """Version and when it was learned, the longest known first."""

    def digest(self) -> DigestEntry:
        return DigestEntry(self.node_id, self.generation, self.version, self.fingerprint)

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
        self.version = max(self.version, entry.version)
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
        self.version = self.floor = self.fingerprint = self.size_bytes = 0
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
        for key in [k for k, (_, at) in self._tombstones.items() if at < learned_before]:
            self._drop_tombstone(key)

    def entries(self) -> list[RecordEntry]:
        """All writes that still count, tombstones included."""
        live = [RecordEntry(key, version, self.values[key]) for key, version in self._versions.items()]
        return live + [RecordEntry(key, version, None) for key, (version, _) in self._tombstones.items()]

    def complete(self) -> NodeRecords:
        return NodeRecords(self.node_id, self.generation, self.version, self.floor, True, tuple(self.entries()))

    def lacking(self, peer: NodeRecords) -> NodeRecords | None:
        """What a peer lacks that holds exactly `peer`; None for nothing."""
        if peer.generation > self.generation:
            return None
        if peer.generation < self.generation:
            return self.complete()
        known = {entry.key: entry.version for entry in peer.entries}
        newer = tuple(
            entry
            for entry in self.entries()
            if entry.version > known.get(entry.key, 0) and (entry.value is not None or entry.version > peer.floor)
        )
        if not newer:
            return None
        return NodeRecords(self.node_id, self.generation, self.version, self.floor, False, newer)

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
