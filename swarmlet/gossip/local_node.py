"""What this node says of itself: where it is reached, and how often it had to say so.

The generation numbers the starts of its agent, the incarnation its announcements since. If peers hold a statement
about this node that is as high as its own or higher, the next announcement goes above it.
"""

from swarmlet.gossip.events import LocalIdentity, Member
from swarmlet.gossip.messages import Alive
from swarmlet.model.ids import NodeId
from swarmlet.model.observed import Address, Liveness


class LocalNode:
    def __init__(self, identity: LocalIdentity, generation: int) -> None:
        self.node_id: NodeId = identity.node_id
        self.name = identity.name
        self.address: Address = identity.address
        self.cluster = identity.cluster
        self.versions = identity.versions
        self.generation = generation
        self.incarnation = 0
        self.left = False

    def alive(self) -> Alive:
        return Alive(self.node_id, self.name, self.address, self.generation, self.incarnation, self.versions)

    def member(self) -> Member:
        liveness = Liveness.LEFT if self.left else Liveness.ALIVE
        return Member(self.node_id, self.name, self.address, liveness, self.incarnation, self.generation, self.versions)

    def outbid(self, generation: int, incarnation: int) -> None:
        """Stand above a statement. A higher generation comes from an earlier start whose number we do not know."""
        if generation > self.generation:
            self.generation, self.incarnation = generation + 1, 0
        elif generation == self.generation and incarnation >= self.incarnation:
            self.incarnation = incarnation + 1
