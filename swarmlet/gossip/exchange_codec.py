"""Exchanges as bytes: a msgpack list with the header of datagrams and the five parts of an `ExchangeState`.

The rules of `codec` hold here too: every field is checked, whatever does not fit is `Malformed`.

A body may come compressed (RFC 1950, zlib): then it begins with a byte that begins no msgpack value. Whether to
compress is the sender's choice, every agent reads both. It grows to no more than an exchange may have, whatever it
claims; one that is larger, cut off or followed by anything is `Malformed`.
"""

import zlib

import msgpack

from swarmlet.gossip import fields
from swarmlet.gossip.codec import decode_header, digest_entry, digest_entry_plain
from swarmlet.gossip.errors import Malformed
from swarmlet.gossip.fields import Fields
from swarmlet.gossip.known_versions import Span
from swarmlet.gossip.messages import ExchangeState, MemberClaim, NodeDelta, RecordEntry
from swarmlet.gossip.settings import EXCHANGE_SIZE_BYTES_MAX, MEMBERS_MAX, RECORDS_MAX, TOMBSTONES_MAX
from swarmlet.gossip.versions import SUPPORTED, VersionRange
from swarmlet.model.observed import Liveness

COMPRESSED = b"\xc1"
"""The one byte that msgpack never uses."""
COMPRESSION_LEVEL = 1
"""The fastest; the next ones save a twentieth more for twice the time."""
COMPRESSED_SIZE_BYTES_MIN, COMPRESSED_SIZE_BYTES_MAX = 1 << 10, 1 << 20
"""Of a body that is worth compressing, and of one that does not hold up the agent for longer than 50 ms."""

LIVENESS_CODES = (Liveness.ALIVE, Liveness.SUSPECT, Liveness.DEAD, Liveness.LEFT)


SPANS_MAX = 4


def encode_exchange(
    state: ExchangeState, cluster: str, version: int = SUPPORTED.highest, compress: bool = False
) -> bytes:
    packed: bytes = msgpack.packb(
        [
            version,
            cluster,
            state.sender,
            state.wants_answer,
            [_member_plain(member) for member in state.members],
            [digest_entry_plain(entry) for entry in state.digests],
            [_delta_plain(delta) for delta in state.deltas],
            state.truncated,
        ],
        use_bin_type=True,
    )
    if compress and COMPRESSED_SIZE_BYTES_MIN <= len(packed) <= COMPRESSED_SIZE_BYTES_MAX:
        return COMPRESSED + zlib.compress(packed, COMPRESSION_LEVEL)
    return packed


def decode_exchange(payload: bytes, cluster: str, versions: VersionRange = SUPPORTED) -> ExchangeState:
    if len(payload) > EXCHANGE_SIZE_BYTES_MAX:
        raise Malformed("longer than any agent sends")
    parts = fields.unpacked(_expanded(payload) if payload[:1] == COMPRESSED else payload)
    sender = decode_header(parts, cluster, versions)
    wants_answer, members, digests, deltas, truncated = fields.listed(parts, 8)[3:]
    return ExchangeState(
        sender,
        fields.flag(wants_answer),
        tuple(_member(plain) for plain in _bounded(members, MEMBERS_MAX)),
        tuple(digest_entry(plain) for plain in _bounded(digests, MEMBERS_MAX)),
        tuple(_delta(plain) for plain in _bounded(deltas, MEMBERS_MAX)),
        fields.flag(truncated),
    )


def _expanded(payload: bytes) -> bytes:
    expander = zlib.decompressobj()
    try:
        body = expander.decompress(payload[1:], EXCHANGE_SIZE_BYTES_MAX + 1)
    except zlib.error as error:
        raise Malformed("not zlib") from error
    if len(body) > EXCHANGE_SIZE_BYTES_MAX or not expander.eof or expander.unused_data:
        raise Malformed("a compressed body that is too long, cut off or followed by something")
    return body


def _bounded(plain: object, limit: int) -> Fields:
    found = fields.listed(plain)
    if len(found) > limit:
        raise Malformed("a list of too many")
    return found


def _member_plain(member: MemberClaim) -> Fields:
    return [
        member.node_id,
        member.name,
        member.address.host,
        member.address.port,
        LIVENESS_CODES.index(member.liveness),
        member.generation,
        member.incarnation,
        round(member.age_s, 1),
        member.versions.lowest,
        member.versions.highest,
    ]


def _member(plain: object) -> MemberClaim:
    node_id, name, host, port, liveness, generation, incarnation, age, lowest, highest = fields.listed(plain, 10)
    return MemberClaim(
        fields.node_id(node_id),
        fields.name(name),
        fields.address(host, port),
        LIVENESS_CODES[fields.number(liveness, len(LIVENESS_CODES) - 1)],
        fields.number(generation),
        fields.number(incarnation),
        fields.seconds(age),
        fields.versions(lowest, highest),
    )


def _delta_plain(delta: NodeDelta) -> Fields:
    spans = [list(span) for span in delta.spans]
    entries = [[entry.key, entry.version, entry.value] for entry in delta.entries]
    return [delta.node_id, delta.generation, spans, entries, delta.reset, delta.floor]


def _delta(plain: object) -> NodeDelta:
    node_id, generation, spans, entries, reset, floor = fields.listed(plain, 6)
    return NodeDelta(
        fields.node_id(node_id),
        fields.number(generation),
        tuple(_span(span) for span in _bounded(spans, SPANS_MAX)),
        tuple(_entry(entry) for entry in _bounded(entries, RECORDS_MAX + TOMBSTONES_MAX)),
        fields.flag(reset),
        fields.number(floor),
    )


def _span(plain: object) -> Span:
    first, last = fields.listed(plain, 2)
    return fields.positive(first), fields.number(last)


def _entry(plain: object) -> RecordEntry:
    key, version, value = fields.listed(plain, 3)
    return RecordEntry(fields.record_key(key), fields.number(version), fields.record_value(value))
