"""Datagrams as bytes: one msgpack list of protocol version, cluster, sender and the messages.

Each message is a byte string of its own, a msgpack list that starts with its kind. News is encoded once when it
arrives and copied into many datagrams; every agent hears each piece many times, and knows the bytes of what it decoded
lately. Decoding trusts nothing: every field is checked for type and range and whatever does not fit makes the whole
datagram `Malformed`; kinds that a newer agent may have added are passed over.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import msgpack

from swarmlet.gossip import fields
from swarmlet.gossip.errors import GossipError, Malformed
from swarmlet.gossip.fields import FINGERPRINT_MAX, Fields
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
from swarmlet.gossip.versions import SUPPORTED, VersionRange
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Liveness

PING, PING_REQUEST, ACK, NACK, ALIVE, SUSPECT, DEAD, LEFT, RECORD, DIGEST = range(1, 11)
KIND_OF_VERDICT = {Liveness.SUSPECT: SUSPECT, Liveness.DEAD: DEAD, Liveness.LEFT: LEFT}
NEWS = frozenset(bytes([kind]) for kind in (ALIVE, SUSPECT, DEAD, LEFT, RECORD))
"""Second byte of the messages that are passed on from node to node."""
DECODED_NEWS_MAX = 4096
DECODED_DIGESTS_MAX = 4096
LIST_HEADER_BYTES = 3
"""msgpack's for a list of 16 to 65,535 elements."""


class ForeignCluster(GossipError):
    """Well-formed, but of another cluster."""


class ForeignVersion(GossipError):
    """Of an agent of this cluster that speaks a protocol version which we don't."""

    def __init__(self, sender: NodeId, version: int) -> None:
        super().__init__(f"node {sender} speaks protocol version {version}")
        self.sender = sender
        self.version = version


def encode_message(message: Message) -> bytes:
    packed: bytes = msgpack.packb(msgpack.packb(_plain(message)))
    return packed


def packet_prefix(cluster: str, sender: NodeId, version: int = SUPPORTED.highest) -> bytes:
    """What every datagram of one agent has after the list's header."""
    return b"".join(msgpack.packb(part) for part in (version, cluster, sender))


def encode_packet(prefix: bytes, messages: Sequence[bytes]) -> bytes:
    header: bytes = msgpack.Packer().pack_array_header(3 + len(messages))
    return b"".join((header, prefix, *messages))


def decode_packet(payload: bytes, cluster: str, versions: VersionRange = SUPPORTED) -> Packet:
    if len(payload) > DATAGRAM_SIZE_BYTES_MAX:
        raise Malformed("longer than any agent sends")
    parts = fields.unpacked(payload)
    sender = decode_header(parts, cluster, versions)
    messages = [_news(part) if type(part) is bytes and part[1:2] in NEWS else _message(part) for part in parts[3:]]
    return Packet(sender, tuple([message for message in messages if message is not None]))


def decode_header(parts: Fields, cluster: str, versions: VersionRange) -> NodeId:
    """The first three fields of datagrams and exchanges alike, in every version."""
    if len(parts) < 3:
        raise Malformed("too short")
    version = fields.number(parts[0])
    if fields.text(parts[1], CLUSTER_LENGTH_MAX) != cluster:
        raise ForeignCluster("of another cluster")
    sender = fields.node_id(parts[2])
    if not versions.includes(version):
        raise ForeignVersion(sender, version)
    return sender


def digest_entry_plain(entry: DigestEntry) -> Fields:
    """Most copies have no gap, so that two of the versions are left out."""
    plain: Fields = [entry.node_id, entry.generation, entry.fingerprint, entry.top]
    return plain if entry.base == entry.top else [*plain, entry.base, entry.top_from]


def digest_entry(plain: object) -> DigestEntry:
    found = tuple(fields.listed(plain))
    try:
        return _digest_entry(found)
    except TypeError as error:
        raise Malformed("not a digest of a node") from error


@lru_cache(maxsize=DECODED_DIGESTS_MAX)
def _digest_entry(found: tuple[object, ...]) -> DigestEntry:
    """Records change seldom: most digests are the same as a moment ago. Raises TypeError for what can't be hashed."""
    if len(found) not in (4, 6):
        raise Malformed("not a digest of a node")
    top = fields.number(found[3])
    base, top_from = (fields.number(found[4], top), fields.number(found[5], top)) if len(found) == 6 else (top, top)
    return DigestEntry(
        fields.node_id(found[0]),
        fields.number(found[1]),
        base,
        top_from,
        top,
        fields.number(found[2], FINGERPRINT_MAX),
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
        case Alive(node_id, name, address, generation, incarnation, versions):
            located = [ALIVE, node_id, name, address.host, address.port]
            return [*located, generation, incarnation, versions.lowest, versions.highest]
        case Verdict(node_id, liveness, generation, incarnation, accuser):
            return [KIND_OF_VERDICT[liveness], node_id, generation, incarnation, accuser]
        case Record(node_id, generation, version, key, value):
            return [RECORD, node_id, generation, version, key, value]
        case Digest(entries):
            return [DIGEST, [digest_entry_plain(entry) for entry in entries]]


def _message(packed: object) -> Message | None:
    if type(packed) is not bytes:
        raise Malformed("a message that is no byte string")
    found = fields.unpacked(packed)
    if not found:
        raise Malformed("an empty message")
    read = READERS.get(fields.number(found[0]))
    return read(found) if read else None


_news = lru_cache(maxsize=DECODED_NEWS_MAX)(_message)
"""Raising is not remembered; equal bytes are equal messages, and these are never changed."""


def forget_decoded() -> None:
    """For measurements: nothing is known of what was decoded before."""
    _news.cache_clear()
    _digest_entry.cache_clear()


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
    _, node_id, name, host, port, generation, incarnation, lowest, highest = fields.listed(found, 9)
    return Alive(
        fields.node_id(node_id),
        fields.name(name),
        fields.address(host, port),
        fields.number(generation),
        fields.number(incarnation),
        fields.versions(lowest, highest),
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
