"""How one key of a Compose file is taken: a row of the table (`key_table`) that the parser and docs/compose.md share.

A key's path is written as in `services.*.ports[].target`: `*` is a name the user chooses, `[]` an item of a list.
What is below a warned or a refused key has rows too, as parts of it: a key in none of the rows is unknown, and never
dropped silently.
"""

from dataclasses import dataclass
from enum import StrEnum


class Support(StrEnum):
    SUPPORTED = "supported"
    WARNED = "accepted with a warning"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class KeyRow:
    path: str
    support: Support
    doc: str
    """Supported: what it does here. Warned: why it does nothing. Refused: what to write instead."""
    part: bool = False
    """Shares the fate of the key above it, whose row says why."""

    @property
    def key(self) -> str:
        return self.path.rpartition(".")[2].removesuffix("[]")

    @property
    def parent(self) -> str:
        return self.path.rpartition(".")[0]


def supported(path: str, doc: str) -> KeyRow:
    return KeyRow(path, Support.SUPPORTED, doc)


def warned(path: str, doc: str, *parts: str) -> tuple[KeyRow, ...]:
    """`parts` are what follows the path in keys below it: `.context`, `[].path`."""
    return _with_parts(KeyRow(path, Support.WARNED, doc), parts)


def refused(path: str, doc: str, *parts: str) -> tuple[KeyRow, ...]:
    return _with_parts(KeyRow(path, Support.REFUSED, doc), parts)


def _with_parts(row: KeyRow, parts: tuple[str, ...]) -> tuple[KeyRow, ...]:
    return (row, *(KeyRow(row.path + part, row.support, row.doc, part=True) for part in parts))
