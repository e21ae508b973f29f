"""What goes into the gossip core and what comes out of it, and what it says of a node."""

from dataclasses import dataclass
from enum import StrEnum

from swarmlet.gossip.versions import SUPPORTED, VersionRange
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, Liveness


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """Who this agent is. The id stays for the node's life; the address is where its peers reach it now."""

    node_id: NodeId
    name: str
    address: Address
    cluster: str
    versions: VersionRange = SUPPORTED


@dataclass(frozen=True, slots=True)
class Member:
    """A node as this one sees it."""

    node_id: NodeId
    name: str
    address: Address
    liveness: Liveness
    incarnation: int
    generation: int = 0
    """Which start of its agent; compared before `incarnation`."""
    versions: VersionRange = SUPPORTED


# Events


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. Due no later than `Gossip.next_deadline` said; sooner does no harm."""


@dataclass(frozen=True, slots=True)
class Join:
    """Find the cluster at any of these addresses; they are tried for ever while no live peer is known."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class DatagramReceived:
    source: Address
    payload: bytes


@dataclass(frozen=True, slots=True)
class ExchangeRequested:
    """A peer's state came over a stream; the `ExchangeReply` of the same step is its answer."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class ExchangeAnswered:
    payload: bytes


@dataclass(frozen=True, slots=True)
class ExchangeFailed:
    address: Address


@dataclass(frozen=True, slots=True)
class SetRecord:
    """Publish a record of this node. Raises a `RecordRefused` for one that exceeds a limit."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class DeleteRecord:
    """Deleting what does not exist is no error."""

    key: str


@dataclass(frozen=True, slots=True)
class Leave:
    """This agent stops on purpose. Whatever is fed afterwards has no effect."""


@dataclass(frozen=True, slots=True)
class PortUnreachable:
    """The host at this address says that nobody listens there."""

    address: Address


class StreamOutcome(StrEnum):
    ANSWERED = "answered"
    REFUSED = "refused"
    """The host says that nobody listens there."""
    ACCEPTED = "accepted"
    """The host took a connection, its agent said nothing: the host lives, and the agent stands still."""
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class StreamProbed:
    """How a `ProbeStream` ended."""

    probe: int
    outcome: StreamOutcome


@dataclass(frozen=True, slots=True)
class AddressChanged:
    """This node is reached at another address from now on."""

    address: Address


Event = (
    Tick
    | Join
    | DatagramReceived
    | ExchangeRequested
    | ExchangeAnswered
    | ExchangeFailed
    | SetRecord
    | DeleteRecord
    | Leave
    | PortUnreachable
    | StreamProbed
    | AddressChanged
)


# Effects


@dataclass(frozen=True, slots=True)
class SendDatagram:
    address: Address
    payload: bytes


@dataclass(frozen=True, slots=True)
class ProbeStream:
    """Ask this node over the peers' streams whether it lives, as datagrams don't reach it; feed the outcome within the
    time."""

    probe: int
    node_id: NodeId
    address: Address
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """Call the peer at this address with the payload; feed its answer, or that there was none."""

    address: Address
    payload: bytes


@dataclass(frozen=True, slots=True)
class ExchangeReply:
    payload: bytes


@dataclass(frozen=True, slots=True)
class LivenessChanged:
    """A node is new, or its liveness, address or name changed. This node itself is reported at the first step."""

    member: Member


@dataclass(frozen=True, slots=True)
class RecordChanged:
    """A record was written or (`value` None) is no more. Follows the first `LivenessChanged` of its node, always."""

    node_id: NodeId
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A node has been dead or gone for so long that nothing of it is kept. Its records were reported gone before."""

    node_id: NodeId


class ConflictKind(StrEnum):
    NAME = "name"
    """Two live nodes have one name."""
    NODE_ID = "node id"
    """Two agents claim to be one node (a copied data directory?)."""


@dataclass(frozen=True, slots=True)
class Conflict:
    kind: ConflictKind
    name: str
    first: Member
    second: Member

    def __str__(self) -> str:
        if self.kind is ConflictKind.NAME:
            return (
                f"nodes {self.first.node_id} at {self.first.address} and {self.second.node_id} at "
                f"{self.second.address} both have the name {self.name!r}"
            )
        return f"agents at {self.first.address} and {self.second.address} both claim to be node {self.first.node_id}"


@dataclass(frozen=True, slots=True)
class Incompatible:
    """A node of this cluster was refused: its agent and ours have no version of the protocol in common."""

    node_id: NodeId
    address: Address | None
    """None where it came over a stream."""
    theirs: VersionRange
    ours: VersionRange

    def __str__(self) -> str:
        where = f" at {self.address}" if self.address else ""
        return (
            f"node {self.node_id}{where} speaks gossip protocol {self.theirs}, this agent {self.ours}: upgrade the "
            "older of the two, through a version that both can speak with"
        )


Effect = (
    SendDatagram
    | ProbeStream
    | Exchange
    | ExchangeReply
    | LivenessChanged
    | RecordChanged
    | Forgotten
    | Conflict
    | Incompatible
)
