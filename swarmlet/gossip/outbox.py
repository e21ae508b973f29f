"""Where the parts of the core leave their effects; each step takes them along."""

from swarmlet.gossip.events import Effect


class Outbox:
    def __init__(self) -> None:
        self._effects: list[Effect] = []

    def emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def take(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
