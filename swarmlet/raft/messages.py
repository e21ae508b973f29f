"""What servers say to each other. Every message carries its sender's term, or the term that it is about.

Where this differs from the paper's two RPCs:
- There are no calls: every message stands alone, may be lost, repeated or late, and its answer is another one.
- Heartbeats are apart from appends. Their answers wait for no disk, carry the number of the heartbeat's round, and
  prove that the leader led when the round began; answers to appends prove what is on the follower's disk.
- Elections are asked for twice: a pre-vote first, which changes nobody's term (thesis §9.6).
"""

from dataclasses import dataclass

from swarmlet.raft.durable import Entry, Membership


@dataclass(frozen=True, slots=True)
class PreVoteRequest:
    """Would you vote for me in `term`? (The sender's own term is one less.)"""

    term: int
    last_index: int
    last_term: int


@dataclass(frozen=True, slots=True)
class PreVoteResponse:
    """`term` is the one asked about where granted, the answering server's own where not."""

    term: int
    granted: bool


@dataclass(frozen=True, slots=True)
class VoteRequest:
    term: int
    last_index: int
    last_term: int
    by_transfer: bool
    """The leader itself asked for this election: sticking to it would be against its will."""


@dataclass(frozen=True, slots=True)
class VoteResponse:
    term: int
    granted: bool


@dataclass(frozen=True, slots=True)
class AppendEntries:
    """Entries that follow `prev_index`; without entries it asks whether the logs agree up to there."""

    term: int
    prev_index: int
    prev_term: int
    commit_index: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class AppendAccepted:
    """The follower's log agrees with the leader's up to `match_index`, on its disk."""

    term: int
    match_index: int


@dataclass(frozen=True, slots=True)
class AppendRejected:
    """There is no entry of the asked term at `prev_index`. The logs can only agree up to `hint_index`."""

    term: int
    prev_index: int
    hint_index: int
    hint_term: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`commit_index` is never beyond what this follower has acknowledged."""

    term: int
    round: int
    commit_index: int


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    term: int
    round: int


@dataclass(frozen=True, slots=True)
class CommitAdvanced:
    """Tells an idle follower what is committed, so that it need not wait for the next heartbeat. No answer."""

    term: int
    commit_index: int


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """One chunk of a snapshot. The end of the last one is answered by `AppendAccepted` when it is on disk."""

    term: int
    last_index: int
    last_term: int
    membership: Membership
    offset: int
    data: bytes
    done: bool


@dataclass(frozen=True, slots=True)
class ChunkAccepted:
    term: int
    last_index: int
    next_offset: int
    """Where the follower wants the next chunk to begin."""


@dataclass(frozen=True, slots=True)
class TimeoutNow:
    """Campaign at once: I hand leadership over to you (thesis §3.10)."""

    term: int


@dataclass(frozen=True, slots=True)
class StaleTerm:
    """Answers a leader of an earlier term."""

    term: int


FromLeader = AppendEntries | Heartbeat | CommitAdvanced | InstallSnapshot
FromFollower = AppendAccepted | AppendRejected | HeartbeatAnswer | ChunkAccepted
FromVoter = PreVoteResponse | VoteResponse
Message = FromLeader | FromFollower | FromVoter | PreVoteRequest | VoteRequest | TimeoutNow | StaleTerm
