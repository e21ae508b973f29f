"""All nodes' records: this node's own, which it alone writes, and the copies of everyone else's.

Returns what effectively changed; who is told of it, and how writes travel, is decided elsewhere. Copies may come
before their node is known as a member; they are kept and reported when it is.
"""

from collections.abc import Mapping
from types import MappingProxyType

from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.errors import InvalidRecordKey, RecordTooLarge, TooManyRecords
from swarmlet.gossip.messages import DigestEntry, NodeDelta, Record, RecordEntry
from swarmlet.gossip.node_records import Change, RecordCopy
from swarmlet.gossip.settings import (
    MEMBERS_MAX,
    RECORD_KEY_BYTES_MAX,
    RECORD_VALUE_BYTES_MAX,
    RECORDS_BYTES_MAX,
    RECORDS_MAX,
)
from swarmlet.model.ids import NodeId

NOTHING: Mapping[str, bytes] = MappingProxyType({})


class Records:
    def __init__(self, local: NodeId, generation: int, counters: GossipCounters) -> None:
        self.own = RecordCopy(local, generation)
        self._copies: dict[NodeId, RecordCopy] = {local: self.own}
        self._counters = counters

    def nodes(self) -> list[NodeId]:
        return list(self._copies)

    def values(self, node_id: NodeId) -> Mapping[str, bytes]:
        copy = self._copies.get(node_id)
        return MappingProxyType(copy.values) if copy else NOTHING

    def digest(self, node_id: NodeId) -> DigestEntry:
        copy = self._copies.get(node_id)
        return copy.digest() if copy else DigestEntry(node_id, 0, 0, 0, 0, 0)

    def copy_of(self, node_id: NodeId) -> RecordCopy:
        """What we hold of a node; an empty copy (that isn't kept) where we hold nothing."""
        return self._copies.get(node_id) or RecordCopy(node_id)

    # This node's own

    def set_own(self, key: str, value: bytes, now: float) -> Record | None:
        """The write to be told to others, or None if the record has this value already."""
        if self.own.values.get(key) == value:
            return None
        self._check(key, value)
        return self._write_own(key, value, now)

    def delete_own(self, key: str, now: float) -> Record | None:
        return self._write_own(key, None, now) if key in self.own.values else None

    def raise_generation(self, generation: int) -> list[Record]:
        """Peers hold records of ours that we don't know: publish ours again, above theirs."""
        values = dict(self.own.values)
        self.own.begin_generation(generation)
        return [self._write_own(key, value, 0.0) for key, value in values.items()]

    def _write_own(self, key: str, value: bytes | None, now: float) -> Record:
        version = self.own.version + 1
        self.own.write(RecordEntry(key, version, value), now)
        return Record(self.own.node_id, self.own.generation, version, key, value)

    def _check(self, key: str, value: bytes) -> None:
        try:
            key_size_bytes = len(key.encode())
        except UnicodeEncodeError:
            key_size_bytes = 0
        if not 1 <= key_size_bytes <= RECORD_KEY_BYTES_MAX:
            raise InvalidRecordKey(key, RECORD_KEY_BYTES_MAX)
        if len(value) > RECORD_VALUE_BYTES_MAX:
            raise RecordTooLarge(key, len(value), RECORD_VALUE_BYTES_MAX)
        if not self.own.has_room(key, value):
            raise TooManyRecords(key, f"{RECORDS_MAX} records or {RECORDS_BYTES_MAX} bytes")

    # Others' copies

    def hear(self, record: Record, from_owner: bool, now: float) -> list[Change] | None:
        """One write of a peer. None if it is not news: known, overtaken, deleted since, or beyond our limits."""
        copy = self._copy_to_write(record.node_id)
        if copy is None or record.generation < copy.generation:
            return None
        changes = [] if record.generation == copy.generation else copy.begin_generation(record.generation)
        entry = RecordEntry(record.key, record.version, record.value)
        if self._is_news(copy, entry, from_owner):
            return _effective(changes + copy.write(entry, now))
        copy.known.add(entry.version, entry.version)
        return changes or None

    def merge(self, found: NodeDelta, from_owner: bool, now: float) -> tuple[list[Change], list[Record]]:
        """What a peer had that was lacking here: what changed, and the writes that were news."""
        copy = self._copy_to_write(found.node_id)
        if copy is None or found.generation < copy.generation:
            return [], []
        changes = [] if found.generation == copy.generation else copy.begin_generation(found.generation)
        news: list[Record] = []
        for entry in found.entries:
            if self._is_news(copy, entry, from_owner):
                changes += copy.write(entry, now)
                news.append(Record(found.node_id, found.generation, entry.version, entry.key, entry.value))
        if found.reset:
            known_to = max((last for _, last in found.spans), default=0) if from_owner else found.floor
            changes += copy.prune((entry.key for entry in found.entries), known_to)
            copy.floor = max(copy.floor, found.floor)
        for first, last in found.spans:
            copy.known.add(first, last)
        return _effective(changes), news

    def forget(self, node_id: NodeId) -> list[Change]:
        copy = self._copies.pop(node_id, None)
        return [(key, None) for key in copy.values] if copy else []

    def purge_tombstones(self, learned_before: float) -> None:
        for copy in self._copies.values():
            copy.purge_tombstones(learned_before)

    def _copy_to_write(self, node_id: NodeId) -> RecordCopy | None:
        """None for this node's own, which nobody else writes, and beyond the limit of nodes."""
        if node_id == self.own.node_id:
            return None
        copy = self._copies.get(node_id)
        if copy is None:
            if len(self._copies) >= MEMBERS_MAX:
                self._counters.records_refused += 1
                return None
            copy = self._copies[node_id] = RecordCopy(node_id)
        return copy

    def _is_news(self, copy: RecordCopy, entry: RecordEntry, from_owner: bool) -> bool:
        known = copy.version_of(entry.key)
        if entry.version <= known or (known == 0 and entry.version <= copy.floor and not from_owner):
            return False
        if entry.value is not None and not copy.has_room(entry.key, entry.value):
            self._counters.records_refused += 1
            copy.overfull = True
            return False
        return True


def _effective(changes: list[Change]) -> list[Change]:
    """The last change of each key: one that a new generation dropped and wrote again changed once."""
    return list(dict(changes).items())
