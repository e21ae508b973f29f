"""Consensus: elections, replication, membership changes, snapshots and linearizable reads, as one pure core.

    raft = Raft(node_id, RaftSettings(), restored, rng, now)
    for effect in raft.step(Tick(), now):
        ...  # send, persist, apply: see `effects`

`node` is the door. `server`, `follower`, `candidate`, `leader` are the roles and what they share; `log`,
`membership`, `quorum`, `progress`, `rounds` and `reads` hold one idea each. The shell's duties: tick several times in
an election timeout, carry out the effects in their order, and feed `PersistDone` once a write is synced.
"""

from swarmlet.raft.codec import MessageInvalid, decode_message, encode_message
from swarmlet.raft.durable import (
    Entry,
    EntryKind,
    HardState,
    LostTail,
    Membership,
    RestoredState,
    Snapshot,
    bootstrap_state,
    decode_membership,
    encode_membership,
)
from swarmlet.raft.effects import (
    ApplyEntries,
    ApplySnapshot,
    Effect,
    Persist,
    ProposalAccepted,
    ProposalRefused,
    ReadReady,
    ReadRefused,
    Refusal,
    Role,
    RoleChanged,
    Send,
)
from swarmlet.raft.events import (
    Compact,
    DiskFailed,
    Event,
    LeaderUnreachable,
    MessageReceived,
    PersistDone,
    Propose,
    ProposeMembership,
    ReadRequest,
    Tick,
    TransferLeadership,
)
from swarmlet.raft.membership import AddLearner, ChangeVoters, Demote, MembershipChange, Promote, Remove
from swarmlet.raft.messages import Message
from swarmlet.raft.node import Raft
from swarmlet.raft.progress import PeerProgress
from swarmlet.raft.quorum import JointConfig, MajorityConfig, VoteResult
from swarmlet.raft.settings import RaftSettings
from swarmlet.raft.wire import VersionUnknown, Wire

__all__ = [
    "AddLearner",
    "ApplyEntries",
    "ApplySnapshot",
    "ChangeVoters",
    "Compact",
    "Demote",
    "DiskFailed",
    "Effect",
    "Entry",
    "EntryKind",
    "Event",
    "HardState",
    "JointConfig",
    "LeaderUnreachable",
    "LostTail",
    "MajorityConfig",
    "Membership",
    "MembershipChange",
    "Message",
    "MessageInvalid",
    "MessageReceived",
    "PeerProgress",
    "Persist",
    "PersistDone",
    "Promote",
    "ProposalAccepted",
    "ProposalRefused",
    "Propose",
    "ProposeMembership",
    "Raft",
    "RaftSettings",
    "ReadReady",
    "ReadRefused",
    "ReadRequest",
    "Refusal",
    "Remove",
    "RestoredState",
    "Role",
    "RoleChanged",
    "Send",
    "Snapshot",
    "Tick",
    "TransferLeadership",
    "VersionUnknown",
    "VoteResult",
    "Wire",
    "bootstrap_state",
    "decode_membership",
    "decode_message",
    "encode_membership",
    "encode_message",
]
