"""Whom to probe next: round-robin over a shuffled list, shuffled anew each round (SWIM, section 4.3).

So each node is probed within two rounds at the latest, whatever the dice say. A new member enters at a random
place of the round that is under way.
"""

from collections.abc import Callable
from random import Random

from swarmlet.model.ids import NodeId


class ProbeOrder:
    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._round: list[NodeId] = []

    def add(self, node_id: NodeId) -> None:
        self._round.insert(self._rng.randint(0, len(self._round)), node_id)

    def next(self, candidates: list[NodeId], probeable: Callable[[NodeId], bool]) -> NodeId | None:
        """One of the candidates; `probeable` says whether a node of the round still is one."""
        while self._round:
            node_id = self._round.pop()
            if probeable(node_id):
                return node_id
        self._round = list(candidates)
        self._rng.shuffle(self._round)
        return self._round.pop() if self._round else None
