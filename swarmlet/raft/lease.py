"""Reads without asking anybody: for how long a leader surely leads alone (thesis §6.4.1).

Who has answered a round of heartbeats sticks to the leader for the shortest election timeout from then on, and that is
after the round began. So until that time has passed since the beginning of the last round that a quorum answered,
less a margin for clocks that run at different rates, nobody else can be elected.

Rules:
- The leader's own time is the shell's, which goes on while the process is stopped. Its followers' may stand still
  with them: they stick the longer.
- Stickiness ends by time alone: not by a later term, not by a restart (`Server.hears_leader`).
- An election that the leader asked for doesn't wait for stickiness, and the request for it may come late. So a handover
  ends the leases of the whole term, whatever becomes of it.
- No lease before the term's first entry is committed: until then the leader doesn't know what is.
"""

from swarmlet.model.ids import NodeId
from swarmlet.raft.quorum import JointConfig
from swarmlet.raft.rounds import HeartbeatRounds
from swarmlet.raft.settings import RaftSettings


class Lease:
    """Of one leader, for one term."""

    def __init__(self, settings: RaftSettings) -> None:
        self._duration_s = settings.lease_s
        self._may_hold = settings.lease_reads

    def give_up(self) -> None:
        """For the rest of the term."""
        self._may_hold = False

    def holds(self, rounds: HeartbeatRounds, quorum: JointConfig[NodeId], uncut_now: float) -> bool:
        return self._may_hold and rounds.confirmed_s(quorum, uncut_now) < self._duration_s
