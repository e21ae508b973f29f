"""The core's parameters and limits, with their defaults for one local network."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class RaftSettings:
    heartbeat_interval_s: float = 0.1
    election_timeout_min_s: float = 0.5
    """Also how long followers stick to a silent leader, and how long a leader stays without a quorum's answers:
    the two end together. The shell ticks several times in it; time between two steps beyond half of it counts as
    this node's own sleep, not as its peers' silence."""
    election_timeout_max_s: float = 1.0
    doubted_leader_delay_max_s: float = 0.1
    """A follower with evidence that its leader's process is gone campaigns after a random part of this. Long enough for
    an election between the first two who do."""

    lease_reads: bool = False
    """A leader whose lease holds answers reads without a round of heartbeats (see `lease`). Safe only as far as
    clocks run at rates that `lease_margin` allows for; without it reads are safe whatever clocks do. To be the same
    on all servers: with it, a follower with evidence that its leader is gone still sticks to it for its time."""
    lease_margin: float = 0.25
    """The part of the shortest election timeout that a lease leaves out: with 0.25 no clock may run more than a third
    faster than another. Of the transport's and the scheduler's delays none counts against it."""

    append_bytes_max: int = 1 * MIB
    """One append holds at least one entry and no more bytes than this otherwise."""
    append_entries_max: int = 1_024
    inflight_appends_max: int = 32
    """Appends sent to one follower and not acknowledged. Beyond it new entries gather into larger appends."""
    inflight_bytes_max: int = 8 * MIB
    entry_bytes_max: int = 6 * MIB
    """Larger proposals are refused: an append has to fit into one frame of the transport."""
    uncommitted_bytes_max: int = 64 * MIB
    """Proposals beyond it are refused until the followers have caught up."""

    snapshot_chunk_bytes: int = 512 * KIB
    snapshot_retry_s: float = 1.0
    """A chunk that is not acknowledged for so long is sent again, to a follower that answers heartbeats."""
    snapshot_bytes_max: int = 2_048 * MIB
    """A follower does not collect more than this."""

    compaction_tail_entries: int = 1_000
    """Entries kept before a snapshot's end, so that a follower that is a little behind needs no snapshot."""
    compaction_tail_bytes_max: int = 16 * MIB

    apply_entries_max: int = 1_024
    """Entries handed to the state machine in one step; the next step goes on, so that none takes long."""
    reads_waiting_max: int = 10_000
    farewell_s: float = 3.0
    """How long a removed member is still sent the log, so that it learns of its removal."""
    promotion_lag_max: int = 1_000
    """A learner that is further behind than this many entries is not promoted."""
    disk_stall_s: float = 2.0
    """A server whose disk has not finished a write for so long neither leads nor campaigns."""

    @property
    def lease_s(self) -> float:
        """How long after the beginning of a round that a quorum answered its leader surely leads alone."""
        return self.election_timeout_min_s * (1 - self.lease_margin)

    def __post_init__(self) -> None:
        assert 0 < self.heartbeat_interval_s < self.election_timeout_min_s <= self.election_timeout_max_s, (
            "heartbeats come more often than elections"
        )
        assert 0 <= self.lease_margin < 1, "a lease has a length"
        assert self.append_bytes_max > 0 and self.snapshot_chunk_bytes > 0 and self.inflight_appends_max > 0
