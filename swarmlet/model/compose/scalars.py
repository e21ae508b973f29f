"""Readers of single values: a node in, a Python value out, or a `ComposeError` at the node that says what to write.

Strings are as strict as in Compose (`user: 1000` is a number and refused); numbers and booleans may also come as
strings, since a variable's value is one.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import INTEGER, Kind, Mapping, Node, Scalar, Sequence, shown
from swarmlet.model.compose.quantities import BadQuantity, duration_s, size_bytes

_LEGACY_BOOLEANS = {"y": True, "yes": True, "on": True, "n": False, "no": False, "off": False}
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}")
_INTEGER_LENGTH_MAX = 20


def mapping(node: Node) -> Mapping:
    if not isinstance(node, Mapping):
        raise refused(node, f"must be a mapping, not {_what(node)}, write 'key: value' lines below it")
    return node


def sequence(node: Node) -> Sequence:
    if not isinstance(node, Sequence):
        raise refused(node, f"must be a list, not {_what(node)}, write '- …' lines below it")
    return node


def string(node: Node) -> str:
    """A string that is not empty."""
    found = any_string(node)
    if not found:
        raise refused(node, "is empty, write a value or remove the key")
    return found


def any_string(node: Node) -> str:
    if not isinstance(node, Scalar) or node.kind is Kind.NULL:
        raise refused(node, f"must be a string, not {_what(node)}, write one value")
    if node.kind is not Kind.STRING:
        raise refused(node, f'must be a string, not {_what(node)}, write it in quotes: "{node.text}"')
    return _without_nul(node)


def text(node: Node) -> str:
    """Any scalar but null, as it is written."""
    if not isinstance(node, Scalar) or node.kind is Kind.NULL:
        raise refused(node, f"must be one value, not {_what(node)}, write a string or a number")
    return _without_nul(node)


def strings(node: Node) -> tuple[str, ...]:
    return tuple(any_string(item) for item in sequence(node).items)


def texts(node: Node) -> tuple[str, ...]:
    """One value, or a list of them, none empty."""
    return tuple(string(item) for item in (node.items if isinstance(node, Sequence) else (node,)))


def one_of(*choices: str) -> Callable[[Node], str]:
    def reader(node: Node) -> str:
        found = text(node)
        if found not in choices:
            raise refused(node, f"cannot be {shown(found)}, write {' or '.join(choices)}")
        return found

    return reader


def integer(minimum: int, maximum: int) -> Callable[[Node], int]:
    def reader(node: Node) -> int:
        found = text(node)
        if not INTEGER.fullmatch(found) or len(found) > _INTEGER_LENGTH_MAX:
            raise refused(node, f"must be a whole number, not {shown(found)}, write {minimum} to {maximum}")
        # Base 0 knows 0x and 0o but refuses leading zeros, which YAML 1.2 reads as decimal.
        value = int(found, 0) if found.startswith(("0x", "0o")) else int(found)
        if not minimum <= value <= maximum:
            raise refused(node, f"cannot be {value}, write {minimum} to {maximum}")
        return value

    return reader


def decimal(maximum: float) -> Callable[[Node], float]:
    """More than 0."""

    def reader(node: Node) -> float:
        found = text(node)
        if not _DECIMAL.fullmatch(found) or not 0 < float(found) <= maximum:
            raise refused(node, f"cannot be {shown(found)}, write a number above 0 and up to {maximum:g}, like 0.5")
        return float(found)

    return reader


def boolean(findings: Findings) -> Callable[[Node], bool]:
    def reader(node: Node) -> bool:
        found = text(node)
        lower = found.lower()
        if lower in ("true", "false"):
            return lower == "true"
        if lower not in _LEGACY_BOOLEANS:
            raise refused(node, f"cannot be {shown(found)}, write true or false")
        value = _LEGACY_BOOLEANS[lower]
        findings.warn(node.place, node.path, f"{shown(found)} is no boolean since YAML 1.2, write {str(value).lower()}")
        return value

    return reader


def permissions(node: Node) -> int:
    """Octal digits with a 0 in front, or in quotes: Compose's own reader takes 0440 as octal and 440 as decimal."""
    found = text(node)
    digits = found.removeprefix("0o")
    octal = digits.isascii() and digits.isdigit() and len(digits) <= 5 and not set(digits) & set("89")
    if not octal or int(digits, 8) > 0o7777:
        raise refused(node, f"{shown(found)} are no permissions, write octal digits like 0440")
    if node.kind is Kind.INTEGER and not found.startswith("0"):
        raise refused(node, f"{found} is decimal and means other permissions than it seems, write 0{digits}")
    return int(digits, 8)


def duration(node: Node) -> float:
    return _quantity(node, duration_s)


def positive_duration(node: Node) -> float:
    seconds = duration(node)
    if seconds <= 0:
        raise refused(node, "must be more than 0, write a duration like 1s")
    return seconds


def size(node: Node) -> int:
    return int(_quantity(node, size_bytes))


@dataclass(frozen=True, slots=True)
class Pair:
    name: str
    value: str | None
    """None: the name stands alone."""
    node: Node


def pairs(node: Node) -> tuple[Pair, ...]:
    """Names with values, as Compose allows for variables and labels: a mapping, or a list of `name=value`."""
    if isinstance(node, Scalar):
        raise refused(node, f"must be a mapping or a list, not {_what(node)}, write 'NAME: value' lines below it")
    found = tuple(_pairs(node))
    for pair in found:
        if not pair.name or "=" in pair.name or "\0" in pair.name:
            raise refused(pair.node, f"the name {shown(pair.name)} cannot be used, write NAME: value or NAME=value")
    return found


def _pairs(node: Sequence | Mapping) -> Iterator[Pair]:
    if isinstance(node, Mapping):
        for entry in node.entries:
            yield Pair(entry.key, None if entry.value.kind is Kind.NULL else text(entry.value), entry.value)
    else:
        for item in node.items:
            name, equals, value = any_string(item).partition("=")
            yield Pair(name, value if equals else None, item)


def _quantity(node: Node, parse: Callable[[str], float]) -> float:
    try:
        return parse(text(node))
    except BadQuantity as error:
        raise refused(node, str(error)) from error


def _without_nul(node: Scalar) -> str:
    if "\0" in node.text:
        raise refused(node, "contains a NUL character, which no program can be given, remove it")
    return node.text


def _what(node: Node) -> str:
    if isinstance(node, Scalar) and node.kind not in (Kind.NULL, Kind.STRING):
        return f"{node.kind} ({shown(node.text)})"
    return node.kind.value
