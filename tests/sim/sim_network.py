"""Links between servers that lose, delay, repeat and reorder, and that can be cut in one direction or both."""

from collections.abc import Callable, Collection
from random import Random

from sim_clock import Timeline

from swarmlet.model.ids import NodeId


class Network:
    def __init__(self, timeline: Timeline, rng: Random) -> None:
        self._timeline, self._rng = timeline, rng
        self.loss = 0.0
        self.repetition = 0.0
        self.delay_max_s = 0.01
        self._cut: set[tuple[NodeId, NodeId]] = set()

    def carry(self, sender: NodeId, to: NodeId, deliver: Callable[[], None]) -> None:
        rng = self._rng
        if (sender, to) in self._cut or rng.random() < self.loss:
            return
        copies = 2 if rng.random() < self.repetition else 1
        for _ in range(copies):
            self._timeline.after(rng.uniform(0.0002, self.delay_max_s), lambda: self._arrive(sender, to, deliver))

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

    def _arrive(self, sender: NodeId, to: NodeId, deliver: Callable[[], None]) -> None:
        if (sender, to) not in self._cut:
            deliver()
