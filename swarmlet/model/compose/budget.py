"""A limit on the sum of many small things, each harmless alone: nodes, characters, ports of one file."""

from swarmlet.model.compose.errors import refusal
from swarmlet.model.compose.marks import Place


class Budget:
    def __init__(self, limit: int, exhausted: str) -> None:
        """`exhausted` is the message for whoever asks for more; `{limit}` in it is filled in."""
        self._left = limit
        self._exhausted = exhausted.replace("{limit}", f"{limit:,}")

    def pay(self, amount: int, place: Place, path: str) -> None:
        """Raises `ComposeError` there when the limit is passed."""
        self._left -= amount
        if self._left < 0:
            raise refusal(place, path, self._exhausted)
