"""Who is alive, and what each node says of itself: SWIM with Lifeguard, and versioned records, as a pure core.

`Gossip` takes events and returns effects; see `core` for its parts and `settings` for its parameters.
"""

from swarmlet.gossip.core import Gossip
from swarmlet.gossip.counters import GossipCounters
from swarmlet.gossip.errors import GossipError, InvalidRecordKey, RecordRefused, RecordTooLarge, TooManyRecords
from swarmlet.gossip.events import (
    AddressChanged,
    Conflict,
    ConflictKind,
    DatagramReceived,
    DeleteRecord,
    Effect,
    Event,
    Exchange,
    ExchangeAnswered,
    ExchangeFailed,
    ExchangeReply,
    ExchangeRequested,
    Forgotten,
    Incompatible,
    Join,
    Leave,
    LivenessChanged,
    LocalIdentity,
    Member,
    PortUnreachable,
    ProbeStream,
    RecordChanged,
    SendDatagram,
    SetRecord,
    StreamOutcome,
    StreamProbed,
    Tick,
)
from swarmlet.gossip.settings import GossipSettings
from swarmlet.gossip.versions import SUPPORTED, VersionRange

__all__ = [
    "SUPPORTED",
    "AddressChanged",
    "Conflict",
    "ConflictKind",
    "DatagramReceived",
    "DeleteRecord",
    "Effect",
    "Event",
    "Exchange",
    "ExchangeAnswered",
    "ExchangeFailed",
    "ExchangeReply",
    "ExchangeRequested",
    "Forgotten",
    "Gossip",
    "GossipCounters",
    "GossipError",
    "GossipSettings",
    "Incompatible",
    "InvalidRecordKey",
    "Join",
    "Leave",
    "LivenessChanged",
    "LocalIdentity",
    "Member",
    "PortUnreachable",
    "ProbeStream",
    "RecordChanged",
    "RecordRefused",
    "RecordTooLarge",
    "SendDatagram",
    "SetRecord",
    "StreamOutcome",
    "StreamProbed",
    "Tick",
    "TooManyRecords",
    "VersionRange",
]
