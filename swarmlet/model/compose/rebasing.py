"""Relative paths of a file that lies elsewhere (`include`, `extends`), made relative to the stack's own folder."""

from dataclasses import replace
from posixpath import isabs, join, normpath

from swarmlet.model.compose.keys import below_pattern
from swarmlet.model.compose.marks import Mapping, Node, Scalar, Sequence, is_null

_PATHS = frozenset(
    {
        *("include[]", "include[].project_directory"),
        *(f"include[].{key}{item}" for key in ("path", "env_file") for item in ("", "[]")),
        *(f"services.*.{key}{item}" for key in ("env_file", "label_file") for item in ("", "[]")),
        *("services.*.env_file[].path", "services.*.extends.file", "secrets.*.file", "configs.*.file"),
    }
)
_SOURCES = frozenset({"services.*.volumes[]", "services.*.volumes[].source"})
"""Of mounts, which are paths only where they begin with a dot."""


def resolved(base: str, path: str) -> str:
    """`path` as seen from the stack's folder; `base` is the folder it is relative to, `""` the stack's own."""
    return path if not base or isabs(path) else normpath(join(base, path))


def rebase(node: Node, base: str, pattern: str = "") -> Node:
    if not base:
        return node
    match node:
        case Scalar():
            return replace(node, text=_moved(node.text, base, pattern)) if not is_null(node) else node
        case Sequence():
            return replace(node, items=tuple(rebase(item, base, f"{pattern}[]") for item in node.items))
        case Mapping():
            entries = (
                replace(entry, value=rebase(entry.value, base, below_pattern(pattern, entry.key)))
                for entry in node.entries
            )
            return replace(node, entries=tuple(entries))


def _moved(text: str, base: str, pattern: str) -> str:
    if pattern in _PATHS:
        return resolved(base, text)
    if pattern in _SOURCES and text.startswith("."):
        source, colon, rest = text.partition(":")
        # Still with a dot in front, which tells a path from a volume's name.
        moved = resolved(base, source)
        return f"{moved if moved.startswith(('.', '/')) else f'./{moved}'}{colon}{rest}"
    return text
