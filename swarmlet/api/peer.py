"""What the API needs of the peer that serves it: the agent hands one of these in."""

import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from swarmlet.api.schema import RaftRole
from swarmlet.api.views import Moment
from swarmlet.drivers.consensus import Consensus
from swarmlet.drivers.key_rotation import KeyRotation
from swarmlet.drivers.log_positions import LogPositionCalls
from swarmlet.drivers.membership import Membership
from swarmlet.model.ids import NodeId
from swarmlet.model.objects import Task
from swarmlet.runtime.interface import LogLine

Logs = Callable[[Task, int | None, bool], AsyncGenerator[LogLine, None]]
"""Log lines of a task, wherever it runs: (task, tail, follow)."""


@dataclass(frozen=True, slots=True)
class Peer:
    cluster: str
    name: str
    consensus: Consensus
    membership: Membership
    log_positions: LogPositionCalls
    rotation: KeyRotation
    logs: Logs
    problems: Callable[[], list[str]]
    """What keeps this agent from doing its work, a line each; empty when all is well."""

    @property
    def node_id(self) -> NodeId:
        return self.consensus.node_id

    def moment(self) -> Moment:
        return Moment(
            state=self.consensus.replica.state,
            observed=self.membership.observed(),
            roles=self.roles(),
            leader=self.consensus.leader_id,
            now=time.time(),
        )

    def roles(self) -> dict[NodeId, RaftRole]:
        membership = self.consensus.raft.membership
        voters = membership.voters | membership.outgoing
        roles = dict.fromkeys(membership.learners, RaftRole.LEARNER) | dict.fromkeys(voters, RaftRole.VOTER)
        if (leader := self.consensus.leader_id) is not None:
            roles[leader] = RaftRole.LEADER
        return roles
