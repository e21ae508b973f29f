"""Handing leadership over on purpose (thesis §3.10).

The leader takes no proposals meanwhile, waits until the successor has the whole log, and tells it to campaign at
once. If that has not deposed it within the longest election timeout, it goes on as before.
"""

from dataclasses import dataclass

from swarmlet.model.ids import NodeId
from swarmlet.raft.messages import TimeoutNow
from swarmlet.raft.replication import Replication
from swarmlet.raft.server import Server


@dataclass(slots=True)
class Handover:
    successor: NodeId
    deadline: float
    told: bool = False

    def advance(self, server: Server, replication: Replication) -> None:
        progress = replication.get(self.successor)
        if not self.told and progress is not None and progress.match_index == server.log.last_index:
            self.told = True
            server.outbox.send(self.successor, TimeoutNow(server.term))


def best_successor(server: Server, replication: Replication) -> NodeId | None:
    """The active voter with the longest log. Not one that is about to lose its vote: it would have to hand over too."""
    active_since = server.now - server.settings.election_timeout_max_s
    candidates = [
        (progress.match_index, node)
        for node, progress in replication
        if node in server.membership.voters and progress.active_at >= active_since
    ]
    return max(candidates)[1] if candidates else None
