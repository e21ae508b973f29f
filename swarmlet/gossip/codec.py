"""Datagrams as bytes: one msgpack list of protocol version, cluster, sender and the messages.

Each message is a list that starts with its kind. News is encoded once when it arrives and copied into many
datagrams, so a datagram is put together from encoded messages. Decoding trusts nothing: every field is checked
for type and range and whatever does not fit makes the whole datagram `Malformed`; kinds that a newer agent may
have added are passed over.
"""

from collections.abc import Callable, Sequence

import msgpack

from swarmlet.gossip import fields
from swarmlet.gossip.errors import GossipError, Malformed
from swarmlet.gossip.fields import FINGERPRINT_MAX, PROTOCOL_VERSION, Fields
from swarmlet.gossip.messages import (
    Ack,
    Alive,
    Digest,
    DigestEntry,
    Message,
    Nack,
    Packet,
    Ping,
    PingRequest,
    Record,
    Verdict,
)
from swarmlet.gossip.settings import CLUSTER_LENGTH_MAX, DATAGRAM_SIZE_BYTES_MAX, DIGEST_ENTRIES_MAX
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness

PING, PING_REQUEST, ACK, NACK, ALIVE, SUSPECT, DEAD, LEFT, RECORD, DIGEST = range(1, 11)
KIND_OF_VERDICT = {Liveness.SUSPECT: SUSPECT, Liveness.DEAD: DEAD, Liveness.LEFT: LEFT}
LIST_HEADER_BYTES = 3
"""msgpack's for a list of 16 to 65,535 elements."""


class ForeignCluster(GossipError):
    """Well-formed, but of another cluster."""


class ForeignVersion(GossipError):
    """Of an agent that speaks a protocol version which we don't."""


def encode_message(message: Message) -> bytes:
    packed: bytes = msgpack.packb(_plain(message), use_bin_type=True)
    return packed


def packet_prefix(cluster: str, sender: NodeId) -> bytes:
    """What every datagram of one agent has after the list's header."""
    return b"".join(msgpack.packb(part) for part in (PROTOCOL_VERSION, cluster, sender))


def encode_packet(prefix: bytes, messages: Sequence[bytes]) -> bytes:
    header: bytes = msgpack.Packer().pack_array_header(3 + len(messages))
    return b"".join((header, prefix, *messages))


def decode_packet(payload: bytes, cluster: str) -> Packet:
    if len(payload) > DATAGRAM_SIZE_BYTES_MAX:
        raise Malformed("longer than any agent sends")
    parts = fields.unpacked(payload)
    sender = decode_header(parts, cluster)
    messages = (_message(fields.listed(part)) for part in parts[3:])
    return Packet(sender, tuple(message for message in messages if message is not None))


def decode_header(parts: Fields, cluster: str) -> NodeId:
    """The first three fields of datagrams and exchanges alike."""
    if len(parts) < 3:
        raise Malformed("too short")
    version = fields.number(parts[0])
    if version != PROTOCOL_VERSION:
        raise ForeignVersion(f"protocol version {version}")
    if fields.text(parts[1], CLUSTER_LENGTH_MAX) != cluster:
        raise ForeignCluster("of another cluster")
    return fields.node_id(parts[2])


def digest_entry_plain(entry: DigestEntry) -> Fields:
    return [entry.node_id, entry.generation, entry.version, entry.fingerprint]


def digest_entry(plain: object) -> DigestEntry:
    found = fields.listed(plain, 4)
    return DigestEntry(
        fields.node_id(found[0]),
        fields.number(found[1]),
        fields.number(found[2]),
        fields.number(found[3], FINGERPRINT_MAX),
    )


def _plain(message: Message) -> Fields:
    match message:
        case Ping(sequence, target):
            return [PING, sequence, target]
        case PingRequest(sequence, target, address):
            return [PING_REQUEST, sequence, target, address.host, address.port]
        case Ack(sequence):
            return [ACK, sequence]
        case Nack(sequence):
            return [NACK, sequence]
        case Alive(node_id, name, address, generation, incarnation):
            return [ALIVE, node_id, name, address.host, address.port, generation, incarnation]
        case Verdict(node_id, liveness, generation, incarnation, accuser):
            return [KIND_OF_VERDICT[liveness], node_id, generation, incarnation, accuser]
        case Record(node_id, generation, version, key, value):
            return [RECORD, node_id, generation, version, key, value]
        case Digest(entries):
            return [DIGEST, [digest_entry_plain(entry) for entry in entries]]


def _message(found: Fields) -> Message | None:
    if not found:
        raise Malformed("an empty message")
    read = READERS.get(fields.number(found[0]))
    return read(found) if read else None


def _ping(found: Fields) -> Ping:
    _, sequence, target = fields.listed(found, 3)
    return Ping(fields.number(sequence), fields.node_id(target))


def _ping_request(found: Fields) -> PingRequest:
    _, sequence, target, host, port = fields.listed(found, 5)
    return PingRequest(fields.number(sequence), fields.node_id(target), fields.address(host, port))


def _ack(found: Fields) -> Ack:
    return Ack(fields.number(fields.listed(found, 2)[1]))


def _nack(found: Fields) -> Nack:
    return Nack(fields.number(fields.listed(found, 2)[1]))


def _alive(found: Fields) -> Alive:
    _, node_id, name, host, port, generation, incarnation = fields.listed(found, 7)
    return Alive(
        fields.node_id(node_id),
        fields.name(name),
        fields.address(host, port),
        fields.number(generation),
        fields.number(incarnation),
    )


def _verdict(liveness: Liveness) -> Callable[[Fields], Verdict]:
    def read(found: Fields) -> Verdict:
        _, node_id, generation, incarnation, accuser = fields.listed(found, 5)
        return Verdict(
            fields.node_id(node_id),
            liveness,
            fields.number(generation),
            fields.number(incarnation),
            fields.node_id(accuser),
        )

    return read


def _record(found: Fields) -> Record:
    _, node_id, generation, version, key, value = fields.listed(found, 6)
    return Record(
        fields.node_id(node_id),
        fields.number(generation),
        fields.number(version),
        fields.record_key(key),
        fields.record_value(value),
    )


def _digest(found: Fields) -> Digest:
    entries = fields.listed(fields.listed(found, 2)[1])
    if len(entries) > DIGEST_ENTRIES_MAX:
        raise Malformed("a digest of too many nodes")
    return Digest(tuple(digest_entry(entry) for entry in entries))


READERS: dict[int, Callable[[Fields], Message]] = {
    PING: _ping,
    PING_REQUEST: _ping_request,
    ACK: _ack,
    NACK: _nack,
    ALIVE: _alive,
    SUSPECT: _verdict(Liveness.SUSPECT),
    DEAD: _verdict(Liveness.DEAD),
    LEFT: _verdict(Liveness.LEFT),
    RECORD: _record,
    DIGEST: _digest,
}
