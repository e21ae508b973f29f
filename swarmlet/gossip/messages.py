"""What agents say to each other, as values. `codec` and `exchange_codec` turn them into bytes and back."""

from dataclasses import dataclass

from swarmlet.gossip.known_versions import KnownVersions, Span
from swarmlet.gossip.versions import SUPPORTED, VersionRange
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, Liveness


@dataclass(frozen=True, slots=True)
class Ping:
    sequence: int
    target: NodeId
    """Who should answer: another agent may have taken over the address."""


@dataclass(frozen=True, slots=True)
class PingRequest:
    """Ping the target for me; say `Ack` if it answers you, `Nack` if it does not."""

    sequence: int
    target: NodeId
    address: Address


@dataclass(frozen=True, slots=True)
class Ack:
    sequence: int


@dataclass(frozen=True, slots=True)
class Nack:
    sequence: int


@dataclass(frozen=True, slots=True)
class Alive:
    """Only the node itself says this of itself; others pass it on."""

    node_id: NodeId
    name: str
    address: Address
    generation: int
    incarnation: int
    versions: VersionRange = SUPPORTED


@dataclass(frozen=True, slots=True)
class Verdict:
    """Somebody (`accuser`) holds a node for SUSPECT or DEAD, or the node itself says that it has LEFT."""

    node_id: NodeId
    liveness: Liveness
    generation: int
    incarnation: int
    accuser: NodeId


@dataclass(frozen=True, slots=True)
class Record:
    """One write of a node's own record; `value` None deletes it."""

    node_id: NodeId
    generation: int
    version: int
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class DigestEntry:
    """What the sender holds of one node's records, in a few bytes; the versions as in `KnownVersions`."""

    node_id: NodeId
    generation: int
    base: int
    top_from: int
    top: int
    fingerprint: int
    """Over key and version of every live record: equal exactly when two peers hold the same."""

    @property
    def known(self) -> KnownVersions:
        return KnownVersions(self.base, self.top_from, self.top)


@dataclass(frozen=True, slots=True)
class Digest:
    entries: tuple[DigestEntry, ...]


Message = Ping | PingRequest | Ack | Nack | Alive | Verdict | Record | Digest


@dataclass(frozen=True, slots=True)
class Packet:
    sender: NodeId
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class MemberClaim:
    """One member as the sender of an exchange holds it, and for how long it has been so."""

    node_id: NodeId
    name: str
    address: Address
    liveness: Liveness
    generation: int
    incarnation: int
    age_s: float
    versions: VersionRange = SUPPORTED


@dataclass(frozen=True, slots=True)
class RecordEntry:
    key: str
    version: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class NodeDelta:
    """Writes to one node's records that a peer lacks, the newest first."""

    node_id: NodeId
    generation: int
    spans: tuple[Span, ...]
    """The versions that are accounted for: whatever of them is not among the entries was overtaken by newer writes."""
    entries: tuple[RecordEntry, ...]
    reset: bool = False
    """All that the sender holds: deletions that it no longer remembers may be new to the peer."""
    floor: int = 0
    """Deletions up to this version are no longer remembered one by one."""


@dataclass(frozen=True, slots=True)
class ExchangeState:
    """The body of an exchange. A request has members and digests; an answer members, what the asker lacks, and digests
    of what the answerer lacks; a push (which needs no answer) only that."""

    sender: NodeId
    wants_answer: bool
    members: tuple[MemberClaim, ...] = ()
    digests: tuple[DigestEntry, ...] = ()
    deltas: tuple[NodeDelta, ...] = ()
    truncated: bool = False
    """There was more than fits: ask again."""
