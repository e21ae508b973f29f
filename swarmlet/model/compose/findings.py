"""Collects what is wrong and what is odd while a file is read, so that the first in file order is reported.

Readers raise `ComposeError` at the first fault of one value; whoever reads several values catches it here
(`collecting`) and goes on. Faults of the Compose file come before those of files it names.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from swarmlet.model.compose.errors import ComposeError, ComposeWarning
from swarmlet.model.compose.marks import Place

ERRORS_MAX = 100
"""Then reading stops: messages with suggestions take time, and only one of them is told."""


class Findings:
    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._errors: list[ComposeError] = []
        # A dictionary for its order and its uniqueness: a template used twice by an alias warns once.
        self._warnings: dict[tuple[Place, str], ComposeWarning] = {}

    def warn(self, place: Place, key_path: str, message: str) -> None:
        self._warnings.setdefault((place, message), ComposeWarning(place, key_path, message))

    def refuse(self, error: ComposeError) -> None:
        """Raises the first of all once there are too many; every block that collects passes it on upwards."""
        self._errors.append(error)
        if len(self._errors) >= ERRORS_MAX:
            self.raise_first()

    def note(self, error: ComposeError) -> None:
        """Keeps an error that ended the reading, unless it is one of those kept already."""
        if error not in self._errors:
            self._errors.append(error)

    def errors(self) -> tuple[ComposeError, ...]:
        """In file order; of those at one place and of one message the first."""
        ordered = sorted(self._errors, key=lambda error: self._order(error.place))
        return tuple({(error.place, error.message): error for error in reversed(ordered)}.values())[::-1]

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Keeps a `ComposeError` of the block and leaves the block."""
        try:
            yield
        except ComposeError as error:
            self.refuse(error)

    def raise_first(self) -> None:
        if self._errors:
            # Of two at the same place the one found first is the cause, the other its consequence: min is stable.
            raise min(self._errors, key=lambda error: self._order(error.place))

    def warnings(self) -> tuple[ComposeWarning, ...]:
        return tuple(sorted(self._warnings.values(), key=lambda warning: self._order(warning.place)))

    def _order(self, place: Place) -> tuple[bool, str, int, int]:
        return place.filename != self._filename, place.filename, place.line, place.column
