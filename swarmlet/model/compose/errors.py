"""What may be wrong with a Compose file, and what is only odd: both say where, what, and what to write instead."""

from dataclasses import dataclass

from swarmlet.errors import SwarmletError
from swarmlet.model.compose.marks import Node, Place, below


def _line(place: Place, key_path: str, message: str) -> str:
    line = f"{place}: {key_path}: {message}" if key_path else f"{place}: {message}"
    # Keys and file names are users' texts: whatever is in them, it stays one line.
    return line if line.isprintable() else "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in line)


class ComposeError(SwarmletError):
    """The file is refused. `str(error)` is `compose.yaml:12:5: services.web.foo: what is wrong, what to write`."""

    def __init__(self, filename: str, line: int, column: int, key_path: str, message: str) -> None:
        self.filename = filename
        self.line = line
        self.column = column
        self.key_path = key_path
        self.message = message
        super().__init__(_line(self.place, key_path, message))

    @property
    def place(self) -> Place:
        return Place(self.filename, self.line, self.column)


@dataclass(frozen=True, slots=True)
class ComposeWarning:
    """Accepted, but not as the writer may think."""

    place: Place
    key_path: str
    message: str

    def __str__(self) -> str:
        return _line(self.place, self.key_path, self.message)


def refusal(place: Place, key_path: str, message: str) -> ComposeError:
    return ComposeError(place.filename, place.line, place.column, key_path, message)


def refused(node: Node, message: str) -> ComposeError:
    return refusal(node.place, node.path, message)


def refused_key(parent_path: str, key: str, key_place: Place, message: str) -> ComposeError:
    return refusal(key_place, below(parent_path, key), message)
