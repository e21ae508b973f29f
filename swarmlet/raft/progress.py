"""What a leader knows of one follower's log, and how it sends to it.

- PROBE: where the logs agree is not known. One append at a time; a rejection moves `next_index` back.
- REPLICATE: they agree. Appends follow each other without waiting, up to the limits on what is under way.
- SNAPSHOT: what the follower needs next is compacted. A snapshot goes in chunks, one at a time.
Source: thesis §10.2.1 (pipelining); the states are those of etcd-io/raft's `tracker` package.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from swarmlet.raft.durable import Snapshot
from swarmlet.raft.settings import RaftSettings


@dataclass(frozen=True, slots=True)
class PeerProgress:
    """For those who look after the cluster."""

    match_index: int
    """This peer has the log up to here on its disk."""
    recently_active: bool
    """It has answered within the longest election timeout."""


class Sending(Enum):
    PROBE = auto()
    REPLICATE = auto()
    SNAPSHOT = auto()


@dataclass(slots=True)
class SnapshotTransfer:
    snapshot: Snapshot
    offset: int
    sent_at: float


class _InFlight(NamedTuple):
    last_index: int
    size_bytes: int


@dataclass(slots=True)
class Progress:
    next_index: int
    """Of the entry that is sent next."""
    active_at: float
    """When it last answered, or when this leader first sent to it."""
    match_index: int = 0
    sending: Sending = Sending.PROBE
    waiting: bool = False
    """PROBE only: an append is under way, and the next one waits for its answer or for a heartbeat's."""
    commit_sent: int = 0
    """The commit index that it has been told."""
    transfer: SnapshotTransfer | None = None
    leaving_at: float | None = None
    """When a removed member is forgotten; None for members."""
    _in_flight: deque[_InFlight] = field(default_factory=deque)
    _in_flight_bytes: int = 0

    def has_room(self, settings: RaftSettings) -> bool:
        """Whether another append may go out now."""
        match self.sending:
            case Sending.PROBE:
                return not self.waiting
            case Sending.REPLICATE:
                return (
                    len(self._in_flight) < settings.inflight_appends_max
                    and self._in_flight_bytes < settings.inflight_bytes_max
                )
            case Sending.SNAPSHOT:
                return False

    def sent(self, last_index: int, size_bytes: int) -> None:
        """An append that ends at `last_index` went out."""
        if self.sending is Sending.PROBE:
            self.waiting = True
            return
        self.next_index = last_index + 1
        self._in_flight.append(_InFlight(last_index, size_bytes))
        self._in_flight_bytes += size_bytes

    def accepted(self, match_index: int) -> bool:
        """Returns whether the follower has got further."""
        advanced = match_index > self.match_index
        self.match_index = max(self.match_index, match_index)
        while self._in_flight and self._in_flight[0].last_index <= self.match_index:
            self._in_flight_bytes -= self._in_flight.popleft().size_bytes
        if self.sending is not Sending.REPLICATE and match_index >= self.match_index and not self._needs_snapshot:
            self._enter(Sending.REPLICATE)
        self.next_index = max(self.next_index, self.match_index + 1)
        return advanced

    def probe_from(self, next_index: int) -> None:
        self._enter(Sending.PROBE)
        self.next_index = next_index

    def begin_snapshot(self, snapshot: Snapshot, now: float) -> None:
        self._enter(Sending.SNAPSHOT)
        self.transfer = SnapshotTransfer(snapshot, 0, now)

    @property
    def _needs_snapshot(self) -> bool:
        return self.transfer is not None and self.match_index < self.transfer.snapshot.last_index

    def _enter(self, sending: Sending) -> None:
        self.sending = sending
        self.waiting = False
        self.transfer = None
        self._in_flight.clear()
        self._in_flight_bytes = 0
        if sending is Sending.REPLICATE:
            self.next_index = self.match_index + 1
