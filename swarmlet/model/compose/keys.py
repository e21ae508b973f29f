"""Looking keys up in the table: what may stand in a mapping, and what to write for a key that may not."""

from collections.abc import Mapping
from difflib import get_close_matches

from swarmlet.model.compose.key_row import KeyRow, Support
from swarmlet.model.compose.key_table import KEYS
from swarmlet.model.compose.marks import shown

LISTED_MAX = 8
"""With more keys than these to choose from, a message names none of them."""


def _by_parent() -> Mapping[str, Mapping[str, KeyRow]]:
    children: dict[str, dict[str, KeyRow]] = {}
    for row in KEYS:
        children.setdefault(row.parent, {})[row.key] = row
    return children


_CHILDREN = _by_parent()


def keys_of(pattern: str) -> Mapping[str, KeyRow]:
    """The rows right below a mapping's pattern (`""` is the file itself), by key."""
    return _CHILDREN.get(pattern, {})


def takes_extensions(pattern: str) -> bool:
    """Whether Compose allows `x-…` keys there; below our own extension a misspelt key would hide as one."""
    return ".x-swarmlet" not in pattern and not pattern.endswith(".env_file[]")


def remedy_for_unknown(key: str, pattern: str) -> str:
    rows = keys_of(pattern)
    usable = [row.key for row in rows.values() if row.support is Support.SUPPORTED]
    near = get_close_matches(key.lower(), usable, n=1, cutoff=0.7) or get_close_matches(key.lower(), rows, n=1)
    if near and near[0] in usable:
        return f"write {shown(near[0])} instead"
    if near:
        row = rows[near[0]]
        if row.support is Support.REFUSED:
            return f"the nearest, {shown(row.key)}, is not supported by swarmlet (yet) either, {row.doc}"
        if row.part:
            return f"write {shown(row.key)} instead, or remove it"
        return f"remove it: the nearest, {shown(row.key)}, has no effect either"
    if len(usable) <= LISTED_MAX:
        return f"write {' or '.join(map(shown, usable))} instead, or remove it"
    return "remove it"


def _wildcards() -> frozenset[str]:
    found: set[str] = set()
    for row in KEYS:
        parts = row.path.split(".")
        found.update(".".join(parts[:at]) for at, part in enumerate(parts) if part in ("*", "*[]"))
    return frozenset(found)


_WILDCARDS = _wildcards()
"""Patterns below which users choose the names."""


def is_wildcard(pattern: str) -> bool:
    """Whether users choose the names of the mapping's keys."""
    return pattern in _WILDCARDS


def below_pattern(pattern: str, key: str) -> str:
    """The pattern of a mapping's entry."""
    if pattern in _WILDCARDS:
        return f"{pattern}.*"
    return f"{pattern}.{key}" if pattern else key
