"""Scuttlebutt: digests say what is known, deltas carry what is lacking, the newest first within a budget."""

from random import Random

import pytest
from gossip_builders import START, a_core, alive, hear, node
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.gossip import (
    Exchange,
    ExchangeAnswered,
    ExchangeReply,
    ExchangeRequested,
    Gossip,
    GossipSettings,
    SetRecord,
)
from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.deltas import within_budget
from swarmlet.gossip.exchange_codec import decode_exchange, encode_exchange
from swarmlet.gossip.known_versions import KnownVersions
from swarmlet.gossip.messages import Digest, ExchangeState, NodeDelta, Record, RecordEntry
from swarmlet.gossip.records import Records

OWNER = node("o")


def known(*spans: tuple[int, int]) -> KnownVersions:
    versions = KnownVersions()
    for first, last in spans:
        versions.add(first, last)
    return versions


def an_owner_with(writes: int, keys: int = 1000) -> tuple[Records, list[Record]]:
    owner = Records(OWNER, 1, GossipCounters())
    made = [owner.set_own(f"k{number % keys}", b"%d" % number, 0.0) for number in range(writes)]
    return owner, [record for record in made if record is not None]


def a_peer(*heard: Record) -> Records:
    peer = Records(node("p"), 1, GossipCounters())
    for record in heard:
        peer.hear(record, True, 0.0)
    return peer


def versions(delta: NodeDelta | None) -> list[int]:
    return [entry.version for entry in delta.entries] if delta else []


def test_a_gap_is_what_lies_between_the_known_spans() -> None:
    assert known((1, 10), (14, 20)).spans() == [(1, 10), (14, 20)]
    assert known((1, 20)).not_in(known((1, 10), (14, 18))) == [(11, 13), (19, 20)]


def test_a_span_that_closes_the_gap_makes_it_one() -> None:
    assert known((1, 10), (14, 20), (11, 13)).spans() == [(1, 20)]
    assert known((5, 9), (1, 4)).spans() == [(1, 9)]


def test_of_several_gaps_only_the_newest_span_is_remembered() -> None:
    assert known((1, 1), (5, 6), (9, 9)).spans() == [(1, 1), (9, 9)]
    assert known((1, 1), (9, 9), (5, 6)).spans() == [(1, 1), (9, 9)]


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 8)), max_size=20))
def test_nothing_is_ever_taken_for_known_that_was_not_added(added: list[tuple[int, int]]) -> None:
    versions, really = KnownVersions(), set[int]()
    for first, length in added:
        versions.add(first, first + length)
        really |= set(range(first, first + length + 1))

    claimed = {version for first, last in versions.spans() for version in range(first, last + 1)}

    assert claimed <= really
    assert versions.base <= versions.top
    assert not really or versions.top == max(really)


def test_a_delta_has_the_versions_that_the_digest_lacks_and_no_others() -> None:
    owner, writes = an_owner_with(6)
    peer = a_peer(writes[0], writes[1], writes[4])

    delta = owner.own.delta_for(peer.digest(OWNER))

    assert versions(delta) == [6, 4, 3]


def test_a_peer_that_holds_all_gets_no_delta() -> None:
    owner, writes = an_owner_with(6)

    assert owner.own.delta_for(a_peer(*writes).digest(OWNER)) is None


def test_the_newest_writes_go_first_within_the_budget() -> None:
    owner, _ = an_owner_with(100)
    peer = a_peer()
    whole = owner.own.delta_for(peer.digest(OWNER))
    assert whole is not None

    (cut,), truncated = within_budget([whole], 400)

    assert truncated
    assert versions(cut) == list(range(100, 100 - len(cut.entries), -1))
    assert 5 <= len(cut.entries) < 30
    assert cut.spans == ((cut.entries[-1].version, 100),)


def test_with_little_room_everyone_gets_a_turn() -> None:
    deltas = [
        NodeDelta(node(letter), 1, ((1, 50),), tuple(RecordEntry(f"k{v}", v, b"v" * 20) for v in range(50, 0, -1)))
        for letter in "bcd"
    ]

    cut, truncated = within_budget(deltas, 1000)

    assert truncated
    assert len(cut) == 3
    assert max(len(delta.entries) for delta in cut) - min(len(delta.entries) for delta in cut) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_small_deltas_bring_everything_in_time(seed: int) -> None:
    rng = Random(seed)
    owner, writes = an_owner_with(300, keys=120)
    peer = a_peer(*rng.sample(writes, 60))

    for _ in range(60):
        delta = owner.own.delta_for(peer.digest(OWNER))
        if delta is None:
            break
        (cut,), _ = within_budget([delta], 300)
        peer.merge(cut, True, 0.0)

    assert dict(peer.values(OWNER)) == owner.own.values
    assert peer.digest(OWNER).fingerprint == owner.own.digest().fingerprint


def test_a_third_party_passes_on_what_it_has() -> None:
    owner, writes = an_owner_with(10)
    middle, peer = a_peer(*writes[:8]), a_peer(*writes[:3])

    delta = middle.copy_of(OWNER).delta_for(peer.digest(OWNER))
    assert delta is not None
    peer.merge(delta, False, 0.0)

    assert peer.digest(OWNER) == middle.digest(OWNER)
    assert versions(owner.own.delta_for(peer.digest(OWNER))) == [10, 9]


def test_a_deletion_is_not_forgotten_while_something_older_is_missing() -> None:
    owner, writes = an_owner_with(2)
    deletion = owner.delete_own("k1", 0.0)
    assert deletion is not None
    peer = a_peer(deletion)

    peer.purge_tombstones(learned_before=100.0)
    delta = owner.own.delta_for(peer.digest(OWNER))
    assert delta is not None
    peer.merge(delta, from_owner=False, now=101.0)

    assert dict(peer.values(OWNER)) == {"k0": b"0"}
    assert writes[1].version < deletion.version


def test_a_copy_that_differs_without_lacking_anything_is_fetched_anew() -> None:
    owner, writes = an_owner_with(3)
    core = a_core()
    hear(core, "o", [alive("o")])
    wrong = Record(OWNER, 1, 2, "other", b"x")
    hear(core, "o", [writes[0], wrong, writes[2]])
    assert core.counters.copies_diverged == 0

    hear(core, "o", [Digest((owner.own.digest(),))], START + 1)

    assert core.counters.copies_diverged == 1
    state = ExchangeState(OWNER, True, digests=(owner.own.digest(),))
    answer = _answered(core, state)
    (lacking,) = [digest for digest in answer.digests if digest.node_id == OWNER]
    assert lacking.top == 0


def test_an_exchange_carries_deltas_both_ways() -> None:
    core = a_core(settings=GossipSettings(deltas_size_bytes_max=300))
    hear(core, "o", [alive("o")])
    owner, writes = an_owner_with(4)
    hear(core, "o", writes[:2])
    for number in range(50):
        core.step(SetRecord(f"own{number}", b"v"), START)

    answer = _answered(core, ExchangeState(OWNER, True, digests=(owner.own.digest(),)))

    assert answer.truncated
    (delta,) = answer.deltas
    assert delta.node_id == core.node_id
    assert versions(delta)[0] == 50
    assert [digest.node_id for digest in answer.digests] == [OWNER]
    push = owner.own.delta_for(answer.digests[0])
    assert push is not None
    core.step(ExchangeRequested(encode_exchange(ExchangeState(OWNER, False, deltas=(push,)), "test")), START)
    assert len(core.records(OWNER)) == 4


def test_the_asker_sends_what_the_answer_says_is_lacking() -> None:
    core = a_core()
    hear(core, "b", [alive("b")])
    core.step(SetRecord("mine", b"v"), START)
    digest = Records(core.node_id, 0, GossipCounters()).own.digest()

    effects = core.step(
        ExchangeAnswered(encode_exchange(ExchangeState(node("b"), False, digests=(digest,)), "test")), START
    )

    states = [decode_exchange(effect.payload, "test") for effect in effects if isinstance(effect, Exchange)]
    assert [entry.key for state in states for delta in state.deltas for entry in delta.entries] == ["mine"]


def _answered(core: Gossip, state: ExchangeState) -> ExchangeState:
    effects = core.step(ExchangeRequested(encode_exchange(state, "test")), START + 2)
    (reply,) = [effect for effect in effects if isinstance(effect, ExchangeReply)]
    return decode_exchange(reply.payload, "test")
