"""Where things stand in a file, and the tree of what stands there.

A parsed YAML text is a tree of `Scalar`, `Sequence` and `Mapping`, each with its place (file, line, column) and
its path (`services.web.ports[0]`), so that whoever finds a fault in a value can say where it is. Scalars keep the
text as written; what it means is decided by the reader that wants a number or a string, by the rules of YAML 1.2's
core schema (https://yaml.org/spec/1.2.2/#103-core-schema): `yes`, `on` and `22:22` are strings.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
SHOWN_MAX = 60
"""Longer texts of users are shortened in messages, which stay one line."""


@dataclass(frozen=True, slots=True)
class Place:
    filename: str
    line: int
    """From 1, as editors count."""
    column: int

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}:{self.column}"


class Kind(StrEnum):
    """What a node is, in the words of messages."""

    STRING = "a string"
    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "a boolean"
    NULL = "empty"
    LIST = "a list"
    MAPPING = "a mapping"


class Tag(StrEnum):
    """How a value meets that of an earlier file (`merging`)."""

    MERGE = ""
    RESET = "!reset"
    """The key is taken out, its own value does not matter."""
    OVERRIDE = "!override"
    """The value replaces the earlier one instead of being merged into it."""


@dataclass(frozen=True, slots=True)
class Scalar:
    place: Place
    path: str
    text: str
    plain: bool
    """Written without quotes and without a substituted variable: its text says its type."""
    tag: Tag = Tag.MERGE

    @property
    def kind(self) -> Kind:
        if not self.plain:
            return Kind.STRING
        if self.text in NULLS:
            return Kind.NULL
        if self.text in BOOLEANS:
            return Kind.BOOLEAN
        if INTEGER.fullmatch(self.text):
            return Kind.INTEGER
        return Kind.NUMBER if NUMBER.fullmatch(self.text) else Kind.STRING


@dataclass(frozen=True, slots=True)
class Sequence:
    place: Place
    path: str
    items: tuple["Node", ...]
    tag: Tag = Tag.MERGE

    @property
    def kind(self) -> Kind:
        return Kind.LIST


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value` of a mapping."""

    key: str
    key_place: Place
    value: "Node"


@dataclass(frozen=True, slots=True)
class Mapping:
    place: Place
    path: str
    entries: tuple[Entry, ...]
    tag: Tag = Tag.MERGE

    @property
    def kind(self) -> Kind:
        return Kind.MAPPING


Node = Scalar | Sequence | Mapping


def is_null(node: Node) -> bool:
    return node.kind is Kind.NULL


def shown(text: str) -> str:
    """A user's text, quoted for a one-line message."""
    return repr(text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…")


def below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
