"""Frames from peers: whatever comes is a message of a known shape or a `ProtocolViolation`, and memory is bounded."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlet.transport.errors import FrameTooLarge, ProtocolViolation
from swarmlet.transport.frames import (
    FRAME_SIZE_BYTES_MAX,
    LENGTH,
    SHAPES,
    FrameDecoder,
    Kind,
    decode_message,
    encode_frame,
    parse_rpc,
)

NUMBERS = st.integers(-(1 << 63), (1 << 64) - 1)
BY_TYPE = {int: NUMBERS, str: st.text(max_size=12), bytes: st.binary(max_size=40)}
RPC = st.sampled_from(sorted(SHAPES)).flatmap(
    lambda kind: st.tuples(st.just(kind), *(BY_TYPE[each] for each in SHAPES[kind][1:]))
)
ATOMS = st.one_of(NUMBERS, st.none(), st.booleans(), st.floats(), st.text(max_size=8), st.binary(max_size=8))
PLAIN = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(ATOMS, inner, max_size=3))


def in_pieces(data: st.DataObject, stream: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@given(st.lists(RPC, max_size=6), st.data())
def test_messages_come_back_however_the_stream_is_cut(messages: list[tuple[object, ...]], data: st.DataObject) -> None:
    decoder = FrameDecoder()
    stream = b"".join(encode_frame(*message) for message in messages)

    found = [payload for piece in in_pieces(data, stream) for payload in decoder.feed(piece)]

    assert [parse_rpc(payload) for payload in found] == messages


@given(RPC, st.binary(max_size=30), st.data())
def test_one_frame_is_taken_and_what_follows_it_is_left(
    message: tuple[object, ...], rest: bytes, data: st.DataObject
) -> None:
    decoder, found, left = FrameDecoder(), None, b""

    for piece in in_pieces(data, encode_frame(*message) + rest):
        if found is None:
            found, left = decoder.feed_one(piece)
        else:
            left += piece

    assert found is not None
    assert (parse_rpc(found), left) == (message, rest)


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_arbitrary_bytes_are_refused(payload: bytes) -> None:
    for read in (decode_message, parse_rpc):
        with suppress(ProtocolViolation):
            read(payload)


@given(PLAIN)
def test_a_message_of_any_other_shape_is_refused(plain: object) -> None:
    with suppress(ProtocolViolation):
        message = parse_rpc(msgpack.packb(plain))
        assert tuple(map(type, message)) == SHAPES[message[0]]


@given(RPC, st.data())
@settings(max_examples=200)
def test_a_mutated_message_is_refused_or_has_a_known_shape(message: tuple[object, ...], data: st.DataObject) -> None:
    payload = bytearray(encode_frame(*message)[LENGTH.size :])
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))

    with suppress(ProtocolViolation):
        found = parse_rpc(bytes(payload[: data.draw(st.integers(0, len(payload)))]))
        assert tuple(map(type, found)) == SHAPES[found[0]]


@given(st.lists(st.binary(max_size=60), max_size=12), st.integers(0, 100))
def test_a_stream_of_nonsense_never_holds_more_than_one_frame(pieces: list[bytes], limit_bytes: int) -> None:
    decoder = FrameDecoder(limit_bytes)

    with suppress(ProtocolViolation):
        for piece in pieces:
            decoder.feed(piece)
            assert len(decoder._pending) <= limit_bytes + LENGTH.size


def test_a_frame_over_the_limit_is_refused_by_its_length_alone() -> None:
    announced = LENGTH.pack(FRAME_SIZE_BYTES_MAX + 1)

    for feed in (FrameDecoder().feed, FrameDecoder().feed_one):
        with pytest.raises(ProtocolViolation):
            feed(announced)
    with pytest.raises(FrameTooLarge):
        encode_frame(Kind.NOTIFY, "x", bytes(FRAME_SIZE_BYTES_MAX))


@pytest.mark.parametrize(
    "payload", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x91" * 5000]
)
def test_what_claims_to_be_huge_or_is_nested_without_end_costs_nothing(payload: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode_message(payload)
