"""Bytes from outside: what we write is read back; whatever else comes is counted and dropped, never raised."""

import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import asdict, replace

import msgpack
import pytest
from gossip_builders import CLUSTER, START, a_core, a_core_with, address, alive, datagram, node
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlet.gossip import DatagramReceived, ExchangeAnswered, ExchangeReply, ExchangeRequested, Gossip
from swarmlet.gossip.codec import decode_packet, encode_message, encode_packet, packet_prefix
from swarmlet.gossip.errors import GossipError, Malformed
from swarmlet.gossip.exchange_codec import COMPRESSED, decode_exchange, encode_exchange
from swarmlet.gossip.messages import (
    Ack,
    Digest,
    DigestEntry,
    ExchangeState,
    MemberClaim,
    Message,
    Nack,
    NodeDelta,
    Ping,
    PingRequest,
    Record,
    RecordEntry,
    Verdict,
)
from swarmlet.gossip.settings import EXCHANGE_SIZE_BYTES_MAX
from swarmlet.model.observed import Address, Liveness

ONE_OF_EACH: list[Message] = [
    Ping(1, node("b")),
    PingRequest(2, node("b"), address("b")),
    Ack(3),
    Nack(4),
    alive("b"),
    Verdict(node("b"), Liveness.SUSPECT, 1, 2, node("c")),
    Verdict(node("b"), Liveness.DEAD, 1, 2, node("c")),
    Verdict(node("b"), Liveness.LEFT, 1, 2, node("b")),
    Record(node("b"), 1, 2, "task/x", b"\x00\xff"),
    Record(node("b"), 1, 3, "task/x", None),
    Digest((DigestEntry(node("b"), 1, 2, 2, 2, (1 << 64) - 1), DigestEntry(node("c"), 1, 2, 5, 9, 0))),
]
STATE = ExchangeState(
    node("b"),
    True,
    (MemberClaim(node("c"), "c", Address("fe80::1", 1), Liveness.DEAD, 1, 2, 3.5),),
    (DigestEntry(node("b"), 1, 2, 2, 2, 3),),
    (NodeDelta(node("b"), 1, ((1, 2),), (RecordEntry("k", 2, b"v"), RecordEntry("l", 1, None)), True, 1),),
    True,
)
NUMBERS = st.one_of(st.integers(-3, 12), st.just((1 << 63) - 1), st.just((1 << 64) - 1))
ATOMS = st.one_of(
    NUMBERS,
    st.none(),
    st.booleans(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.sampled_from([CLUSTER, "id-a", "id-b", "10.0.0.2", "no address", "k" * 300]),
)
PLAIN = st.recursive(
    ATOMS,
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(NUMBERS, inner, max_size=3)),
    max_leaves=10,
)
MESSAGES = st.lists(
    max_size=6,
    elements=st.one_of(
        PLAIN,
        st.builds(lambda kind, rest: msgpack.packb([kind, *rest]), st.integers(0, 12), st.lists(ATOMS, max_size=8)),
    ),
)


def counted(core: Gossip) -> int:
    counters = core.counters
    return counters.malformed + counters.foreign_cluster + counters.foreign_version + counters.own_echoes


def test_every_message_is_read_back() -> None:
    packet = decode_packet(datagram("b", ONE_OF_EACH), CLUSTER)

    assert packet.sender == node("b")
    assert list(packet.messages) == ONE_OF_EACH


def test_every_exchange_is_read_back() -> None:
    assert decode_exchange(encode_exchange(STATE, CLUSTER), CLUSTER) == STATE


BULK = replace(
    STATE,
    deltas=tuple(
        NodeDelta(node(str(number)), 1, ((1, 2),), (RecordEntry("task/x", 2, b"running " * 20),), True, 1)
        for number in range(100)
    ),
)

BULK_BYTES = encode_exchange(BULK, CLUSTER, compress=True)


def test_a_compressed_exchange_is_read_back_and_much_smaller() -> None:
    plain, compressed = encode_exchange(BULK, CLUSTER), encode_exchange(BULK, CLUSTER, compress=True)

    assert decode_exchange(compressed, CLUSTER) == decode_exchange(plain, CLUSTER) == BULK
    assert len(compressed) * 4 < len(plain)
    assert encode_exchange(STATE, CLUSTER, compress=True) == encode_exchange(STATE, CLUSTER), "too small to be worth it"


def test_a_body_that_expands_beyond_an_exchange_is_refused_before_it_takes_the_memory() -> None:
    bomb = COMPRESSED + zlib.compress(bytes(10 * EXCHANGE_SIZE_BYTES_MAX), 9)
    assert len(bomb) < EXCHANGE_SIZE_BYTES_MAX

    tracemalloc.start()
    with pytest.raises(Malformed):
        decode_exchange(bomb, CLUSTER)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 3 * EXCHANGE_SIZE_BYTES_MAX


@pytest.mark.parametrize("harm", ["cut off", "followed", "not zlib", "of nothing"])
def test_a_compressed_body_that_is_harmed_is_refused(harm: str) -> None:
    good = encode_exchange(BULK, CLUSTER, compress=True)
    bad = {"cut off": good[:-3], "followed": good + b"x", "not zlib": COMPRESSED + b"x" * 50, "of nothing": COMPRESSED}

    with pytest.raises(Malformed):
        decode_exchange(bad[harm], CLUSTER)


@given(st.binary(max_size=200), st.booleans())
def test_whatever_is_in_a_compressed_body_is_checked(content: bytes, compressed: bool) -> None:
    with suppress(GossipError):
        decode_exchange(COMPRESSED + (zlib.compress(content) if compressed else content), CLUSTER)


def test_a_kind_that_a_newer_agent_added_is_passed_over() -> None:
    prefix = packet_prefix(CLUSTER, node("b"))
    payload = encode_packet(prefix, [msgpack.packb(msgpack.packb([99, "news"])), encode_message(Ack(1))])

    assert decode_packet(payload, CLUSTER).messages == (Ack(1),)


def test_foreign_clusters_versions_and_echoes_are_counted_and_change_nothing() -> None:
    core = a_core()

    core.step(DatagramReceived(address("b"), datagram("b", [alive("b")], cluster="other")), START)
    core.step(DatagramReceived(address("b"), msgpack.packb([2, CLUSTER, "id-b", [5, "?"]])), START)
    core.step(DatagramReceived(address("a"), datagram("a", [alive("b")])), START)
    reply = core.step(ExchangeRequested(encode_exchange(STATE, "other")), START)

    assert (core.counters.foreign_cluster, core.counters.foreign_version, core.counters.own_echoes) == (2, 1, 1)
    assert ExchangeReply(b"") in reply
    assert list(core.members()) == [node("a")]


def test_an_oversized_datagram_is_dropped() -> None:
    core = a_core()

    core.step(DatagramReceived(address("b"), datagram("b", [alive("b")] * 80)), START)

    assert core.counters.malformed == 1
    assert list(core.members()) == [node("a")]


@given(st.binary(max_size=200))
def test_random_bytes_are_dropped(payload: bytes) -> None:
    core = a_core()

    core.step(DatagramReceived(address("b"), payload), START)
    core.step(ExchangeRequested(payload), START)
    core.step(ExchangeAnswered(payload), START)

    assert counted(core) == (3 if payload else 2)


@given(MESSAGES)
@settings(max_examples=150)
def test_datagrams_of_any_shape_never_raise(messages: list[object]) -> None:
    core = a_core_with("b", "c")

    core.step(DatagramReceived(address("b"), msgpack.packb([1, CLUSTER, "id-b", *messages])), START)

    assert core.counters.malformed <= 1


@given(st.integers(0, 2000), st.integers(0, 255), st.booleans())
@settings(max_examples=300)
def test_a_flipped_or_cut_byte_never_raises(at: int, byte: int, cut: bool) -> None:
    for payload in (datagram("b", ONE_OF_EACH), encode_exchange(STATE, CLUSTER), BULK_BYTES):
        index = at % len(payload)
        broken = payload[:index] if cut else payload[:index] + bytes([byte]) + payload[index + 1 :]
        core = a_core_with("b", "c")

        core.step(DatagramReceived(address("b"), broken), START)
        core.step(ExchangeRequested(broken), START)
        core.step(ExchangeAnswered(broken), START)


@given(st.lists(PLAIN, max_size=6))
@settings(max_examples=100)
def test_exchanges_of_any_shape_never_raise(parts: list[object]) -> None:
    core = a_core_with("b")
    payload = msgpack.packb([1, CLUSTER, "id-b", *parts])

    replies = [e for e in core.step(ExchangeRequested(payload), START) if isinstance(e, ExchangeReply)]
    core.step(ExchangeAnswered(payload), START)

    assert len(replies) == 1


def test_counters_can_be_read_as_plain_numbers() -> None:
    assert set(asdict(a_core().counters).values()) == {0}
