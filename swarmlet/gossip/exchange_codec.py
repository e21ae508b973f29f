"""Exchanges as bytes: a msgpack list with the header of datagrams and the five parts of an `ExchangeState`.

The rules of `codec` hold here too: every field is checked, whatever does not fit is `Malformed`.
"""

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

LIVENESS_CODES = (Liveness.ALIVE, Liveness.SUSPECT, Liveness.DEAD, Liveness.LEFT)


SPANS_MAX = 4


def encode_exchange(state: ExchangeState, cluster: str, version: int = SUPPORTED.highest) -> bytes:
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
    return packed


def decode_exchange(payload: bytes, cluster: str, versions: VersionRange = SUPPORTED) -> ExchangeState:
    if len(payload) > EXCHANGE_SIZE_BYTES_MAX:
        raise Malformed("longer than any agent sends")
    parts = fields.unpacked(payload)
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
