"""Records: what the owner writes, what peers hold of it, and when two copies are the same."""

from random import Random

import pytest
from gossip_builders import START, a_core, node

from swarmlet.gossip import InvalidRecordKey, RecordChanged, RecordTooLarge, SetRecord, TooManyRecords
from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.messages import NodeDelta, Record
from swarmlet.gossip.records import Records
from swarmlet.gossip.settings import RECORD_VALUE_BYTES_MAX

OWNER = node("o")


def an_owner(generation: int = 1) -> Records:
    return Records(OWNER, generation, GossipCounters())


def a_peer() -> Records:
    return Records(node("p"), 1, GossipCounters())


def written(owner: Records, key: str, value: bytes | None) -> Record:
    record = owner.delete_own(key, 0.0) if value is None else owner.set_own(key, value, 0.0)
    assert record is not None
    return record


def delta(holder: Records, peer: Records) -> NodeDelta:
    """What the holder would send to the peer of the owner's records."""
    found = holder.copy_of(OWNER).delta_for(peer.digest(OWNER))
    assert found is not None
    return found


def test_a_write_that_changes_nothing_is_no_write() -> None:
    owner = an_owner()
    written(owner, "k", b"v")

    assert owner.set_own("k", b"v", 0.0) is None
    assert owner.delete_own("other", 0.0) is None
    assert owner.own.version == 1


def test_copies_agree_in_whatever_order_writes_arrive() -> None:
    owner = an_owner()
    rng = Random(1)
    writes = [written(owner, f"k{rng.randrange(5)}", b"%d" % number) for number in range(30)]
    rng.shuffle(writes)
    peer = a_peer()

    for record in writes + writes:
        peer.hear(record, True, 0.0)

    assert dict(peer.values(OWNER)) == owner.own.values
    assert peer.digest(OWNER).fingerprint == owner.own.digest().fingerprint


def test_an_overtaken_write_is_not_missed() -> None:
    owner, peer = an_owner(), a_peer()
    written(owner, "k", b"lost")
    peer.hear(written(owner, "k", b"came"), True, 0.0)
    assert peer.copy_of(OWNER).lacks(owner.own.digest())

    assert peer.copy_of(OWNER).compare(owner.own.digest(), from_owner=True)

    assert peer.digest(OWNER) == owner.own.digest()
    assert not peer.copy_of(OWNER).lacks(owner.own.digest())


def test_a_lost_write_shows_although_a_later_one_arrived() -> None:
    owner, peer = an_owner(), a_peer()
    written(owner, "lost", b"1")
    peer.hear(written(owner, "came", b"2"), True, 0.0)

    assert peer.digest(OWNER).top == owner.own.version
    assert peer.copy_of(OWNER).compare(owner.own.digest(), from_owner=True)
    assert peer.copy_of(OWNER).lacks(owner.own.digest())


def test_a_deletion_is_not_undone_by_the_write_it_follows() -> None:
    owner, peer = an_owner(), a_peer()
    put, deleted = written(owner, "k", b"v"), written(owner, "k", None)

    assert peer.hear(deleted, True, 0.0) == []
    assert peer.hear(put, True, 0.0) is None
    assert peer.values(OWNER) == {}


def test_a_deletion_that_is_no_longer_remembered_is_not_undone_by_a_third_party() -> None:
    owner, peer, stale = an_owner(), a_peer(), a_peer()
    put = written(owner, "k", b"v")
    stale.hear(put, True, 0.0)
    peer.hear(written(owner, "k", None), True, 0.0)
    peer.purge_tombstones(learned_before=1.0)

    assert peer.hear(put, from_owner=False, now=2.0) is None
    changes, _ = stale.merge(delta(peer, stale), False, 2.0)

    assert changes == [("k", None)]
    assert stale.digest(OWNER).fingerprint == peer.digest(OWNER).fingerprint


def test_the_owner_corrects_whatever_a_peer_believes() -> None:
    owner, peer = an_owner(), a_peer()
    peer.hear(written(owner, "gone", b"1"), True, 0.0)
    written(owner, "gone", None)
    written(owner, "kept", b"2")
    owner.purge_tombstones(learned_before=1.0)

    changes, _ = peer.merge(delta(owner, peer), True, 2.0)

    assert sorted(changes) == [("gone", None), ("kept", b"2")]
    assert peer.digest(OWNER) == owner.own.digest()


def test_a_higher_generation_replaces_everything_and_a_lower_one_nothing() -> None:
    peer, first, second = a_peer(), an_owner(1), an_owner(2)
    old = written(first, "old", b"1")
    peer.hear(old, True, 0.0)

    changes = peer.hear(written(second, "new", b"2"), True, 0.0)

    assert changes == [("old", None), ("new", b"2")]
    assert peer.hear(old, True, 0.0) is None
    assert dict(peer.values(OWNER)) == {"new": b"2"}


def test_a_key_that_outlives_a_generation_changes_once() -> None:
    peer, first, second = a_peer(), an_owner(1), an_owner(2)
    peer.hear(written(first, "k", b"1"), True, 0.0)

    assert peer.hear(written(second, "k", b"2"), True, 0.0) == [("k", b"2")]


def test_nobody_else_writes_our_records() -> None:
    owner = an_owner()

    assert owner.hear(Record(OWNER, 9, 9, "k", b"v"), True, 0.0) is None
    assert owner.own.values == {}


def test_only_what_is_lacking_is_sent() -> None:
    owner, peer = an_owner(), a_peer()
    peer.hear(written(owner, "known", b"1"), True, 0.0)
    written(owner, "lacking", b"2")

    lacking = delta(owner, peer)

    assert [entry.key for entry in lacking.entries] == ["lacking"]
    peer.merge(lacking, True, 0.0)
    assert owner.own.delta_for(peer.digest(OWNER)) is None


def test_records_beyond_a_limit_are_refused_with_a_reason() -> None:
    core = a_core()

    with pytest.raises(RecordTooLarge, match="65536"):
        core.step(SetRecord("k", bytes(RECORD_VALUE_BYTES_MAX + 1)), START)
    with pytest.raises(InvalidRecordKey):
        core.step(SetRecord("", b"v"), START)
    with pytest.raises(InvalidRecordKey):
        core.step(SetRecord("k" * 300, b"v"), START)
    with pytest.raises(InvalidRecordKey):
        core.step(SetRecord("\ud800", b"v"), START)
    with pytest.raises(TooManyRecords):
        for number in range(20):
            core.step(SetRecord(f"k{number}", bytes(RECORD_VALUE_BYTES_MAX)), START)
    assert len(core.records(core.node_id)) == 15


def test_a_node_reports_its_own_records_too() -> None:
    core = a_core()

    effects = core.step(SetRecord("k", b"v"), START)

    assert RecordChanged(core.node_id, "k", b"v") in effects
    assert dict(core.records(core.node_id)) == {"k": b"v"}


def test_a_thousand_deletions_leave_a_bounded_memory_and_still_agree() -> None:
    owner, peer = an_owner(), a_peer()
    for number in range(3000):
        for value in (b"v", None):
            record = written(owner, f"task/{number}", value)
            peer.hear(record, True, 0.0)

    assert len(owner.own.entries()) <= 1024
    assert peer.digest(OWNER) == owner.own.digest()
