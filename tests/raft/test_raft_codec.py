from contextlib import suppress
from dataclasses import fields

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlet.raft import Entry, EntryKind, Membership, MessageInvalid, decode_message, encode_message
from swarmlet.raft.codec import NUMBERS, VERSION
from swarmlet.raft.messages import AppendEntries, Heartbeat, InstallSnapshot

INDEX = st.integers(0, 2**63 - 1)
NODES = st.frozensets(st.text(max_size=4), max_size=3)
ROWS = st.lists(st.tuples(INDEX, st.sampled_from(EntryKind), st.binary(max_size=9)), max_size=4)


def _entries(first: int, rows: list[tuple[int, EntryKind, bytes]]) -> tuple[Entry, ...]:
    return tuple(Entry(first + offset, *row) for offset, row in enumerate(rows))


BY_TYPE = {
    int: INDEX,
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    Membership: st.builds(Membership, NODES, NODES, NODES),
    tuple[Entry, ...]: st.builds(_entries, st.integers(1, 2**40), ROWS),
}
MESSAGES = st.one_of(*(st.builds(kind, *(BY_TYPE[field.type] for field in fields(kind))) for kind in NUMBERS))


@given(MESSAGES)
def test_a_message_comes_back_as_it_was(message):
    assert decode_message(encode_message(message)) == message


@given(st.binary(max_size=60))
def test_foreign_bytes_are_refused_and_nothing_else_is_raised(data):
    with suppress(MessageInvalid):
        decode_message(data)


@given(MESSAGES, st.data())
@settings(max_examples=300)
def test_a_mutated_message_is_refused_or_is_a_message(message, data):
    mutated = bytearray(encode_message(message))
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))

    with suppress(MessageInvalid):
        found = decode_message(bytes(mutated[: data.draw(st.integers(0, len(mutated)))]))
        assert decode_message(encode_message(found)) == found


ATOMS = st.one_of(st.integers(-3, 2**64 - 1), st.none(), st.booleans(), st.floats(), st.text(max_size=4), st.binary())
PLAIN = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(ATOMS, inner, max_size=3))


@given(st.integers(0, max(NUMBERS.values()) + 1), st.lists(PLAIN, max_size=9))
@settings(max_examples=300)
def test_fields_of_any_kind_are_refused_or_are_a_message(number, values):
    with suppress(MessageInvalid):
        decode_message(msgpack.packb([VERSION, number, *values]))


@pytest.mark.parametrize("payload", [b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x91" * 5000])
def test_what_claims_to_be_huge_or_is_nested_without_end_is_refused(payload):
    with pytest.raises(MessageInvalid):
        decode_message(payload)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        [VERSION],
        [VERSION, 99],
        [VERSION + 1, NUMBERS[Heartbeat], 1, 2, 3],
        [VERSION, NUMBERS[Heartbeat], 1, 2],
        [VERSION, NUMBERS[Heartbeat], 1, 2, -3],
        [VERSION, NUMBERS[Heartbeat], 1, 2, True],
        [VERSION, NUMBERS[Heartbeat], 1, 2, "3"],
        [VERSION, NUMBERS[Heartbeat], 1, 2, 2**63],
        [VERSION, NUMBERS[AppendEntries], 1, 0, 0, 0, [1, [[1, 7, b""]]]],
        [VERSION, NUMBERS[AppendEntries], 1, 0, 0, 0, 5],
        [VERSION, NUMBERS[InstallSnapshot], 1, 1, 1, [["a"], [], [7]], 0, b"", True],
    ],
)
def test_a_message_with_a_wrong_field_is_refused(plain):
    with pytest.raises(MessageInvalid):
        decode_message(msgpack.packb(plain))
