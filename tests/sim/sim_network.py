"""Links between servers that lose, delay, repeat and reorder, and that can be cut in one direction or both.

A node is an id, not an address. Each server has its own idea of where the others are; what is sent to an address that
its node has left is lost. Servers learn a new address from the node itself, once they hear it, and from gossip.
"""

from collections.abc import Callable, Collection
from random import Random

from sim_clock import Timeline

from swarmlet.model.ids import NodeId

GOSSIP_MAX_S = 1.5
"""How long it takes until a server has heard of a new address from others."""


class Network:
    def __init__(self, timeline: Timeline, rng: Random) -> None:
        self._timeline, self._rng = timeline, rng
        self.loss = 0.0
        self.repetition = 0.0
        self.delay_max_s = 0.01
        self._cut: set[tuple[NodeId, NodeId]] = set()
        self._moves: dict[NodeId, int] = {}
        """How often a node has changed its address."""
        self._known: dict[tuple[NodeId, NodeId], int] = {}
        self._servers: set[NodeId] = set()

    def join(self, server: NodeId) -> None:
        """From now on it has its own idea of where the others are; at first, the right one. Clients always have."""
        self._servers.add(server)
        for node, moves in self._moves.items():
            self._learn(server, node, moves)

    def carry(self, sender: NodeId, to: NodeId, deliver: Callable[[], None]) -> None:
        rng = self._rng
        if (sender, to) in self._cut or rng.random() < self.loss:
            return
        at_address = self._known.get((sender, to), 0) if sender in self._servers else None
        copies = 2 if rng.random() < self.repetition else 1
        for _ in range(copies):
            delay_s = rng.uniform(0.0002, self.delay_max_s)
            self._timeline.after(delay_s, lambda: self._arrive(sender, to, at_address, deliver))

    # Cuts

    def cut(self, sender: NodeId, to: NodeId) -> None:
        """One direction only."""
        self._cut.add((sender, to))

    def cut_between(self, some: Collection[NodeId], others: Collection[NodeId]) -> None:
        for one in some:
            for other in others:
                if one != other:
                    self.cut(one, other)
                    self.cut(other, one)

    def heal(self) -> None:
        self._cut.clear()

    def calm(self) -> None:
        self.heal()
        self.loss = self.repetition = 0.0
        self.delay_max_s = 0.01

    # Addresses

    def move(self, node: NodeId) -> None:
        """A node has a new address; the others learn it one after the other."""
        others = sorted(self._servers - {node})
        self._moves[node] = moves = self._moves.get(node, 0) + 1
        for other in others:
            self._timeline.after(
                self._rng.uniform(0.05, GOSSIP_MAX_S), lambda other=other: self._learn(other, node, moves)
            )

    def _learn(self, observer: NodeId, node: NodeId, moves: int) -> None:
        self._known[observer, node] = max(moves, self._known.get((observer, node), 0))

    def _arrive(self, sender: NodeId, to: NodeId, at_address: int | None, deliver: Callable[[], None]) -> None:
        if (sender, to) in self._cut or at_address not in (None, self._moves.get(to, 0)):
            return
        if sender in self._moves:
            self._learn(to, sender, self._moves[sender])
        deliver()
