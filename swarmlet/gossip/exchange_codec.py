"""Exchanges as bytes: a msgpack list with the header of datagrams and the five parts of an `ExchangeState`.

The rules of `codec` hold here too: every field is checked, whatever does not fit is `Malformed`.
"""

import msgpack

from swarmlet.gossip import fields
from swarmlet.gossip.codec import decode_header, digest_entry, digest_entry_plain
from swarmlet.gossip.errors import Malformed
from swarmlet.gossip.fields import PROTOCOL_VERSION, Fields
from swarmlet.gossip.messages import ExchangeState, MemberClaim, NodeRecords, RecordEntry
from swarmlet.gossip.settings import EXCHANGE_SIZE_BYTES_MAX, MEMBERS_MAX, RECORDS_MAX, TOMBSTONES_MAX
from swarmlet.model.observed import Liveness

LIVENESS_CODES = (Liveness.ALIVE, Liveness.SUSPECT, Liveness.DEAD, Liveness.LEFT)


def encode_exchange(state: ExchangeState, cluster: str) -> bytes:
    packed: bytes = msgpack.packb(
        [
            PROTOCOL_VERSION,
            cluster,
            state.sender,
            state.wants_answer,
            [_member_plain(member) for member in state.members],
            [digest_entry_plain(entry) for entry in state.digests],
            [_node_plain(node) for node in state.nodes],
            state.truncated,
        ],
        use_bin_type=True,
    )
    return packed


def decode_exchange(payload: bytes, cluster: str) -> ExchangeState:
    if len(payload) > EXCHANGE_SIZE_BYTES_MAX:
        raise Malformed("longer than any agent sends")
    parts = fields.unpacked(payload)
    sender = decode_header(parts, cluster)
    wants_answer, members, digests, nodes, truncated = fields.listed(parts, 8)[3:]
    return ExchangeState(
        sender,
        fields.flag(wants_answer),
        tuple(_member(plain) for plain in _bounded(members, MEMBERS_MAX)),
        tuple(digest_entry(plain) for plain in _bounded(digests, MEMBERS_MAX)),
        tuple(_node(plain) for plain in _bounded(nodes, MEMBERS_MAX)),
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
    ]


def _member(plain: object) -> MemberClaim:
    node_id, name, host, port, liveness, generation, incarnation, age = fields.listed(plain, 8)
    return MemberClaim(
        fields.node_id(node_id),
        fields.name(name),
        fields.address(host, port),
        LIVENESS_CODES[fields.number(liveness, len(LIVENESS_CODES) - 1)],
        fields.number(generation),
        fields.number(incarnation),
        fields.seconds(age),
    )


def _node_plain(node: NodeRecords) -> Fields:
    entries = [[entry.key, entry.version, entry.value] for entry in node.entries]
    return [node.node_id, node.generation, node.version, node.floor, node.complete, entries]


def _node(plain: object) -> NodeRecords:
    node_id, generation, version, floor, complete, entries = fields.listed(plain, 6)
    return NodeRecords(
        fields.node_id(node_id),
        fields.number(generation),
        fields.number(version),
        fields.number(floor),
        fields.flag(complete),
        tuple(_entry(entry) for entry in _bounded(entries, RECORDS_MAX + TOMBSTONES_MAX)),
    )


def _entry(plain: object) -> RecordEntry:
    key, version, value = fields.listed(plain, 3)
    return RecordEntry(fields.record_key(key), fields.number(version), fields.record_value(value))
