"""What a Compose file needs from the machine it is deployed from: variables and env files.

A client reads these and sends them along, since the file is parsed by an agent on another host. Never raises: what is
wrong with a file is said once, by `parse_stack`. Env files' paths may hold variables, and env files may name more of
them, so a client asks again with what it found: `needed_inputs(text, variables, files)`.
"""

from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from contextlib import suppress
from dataclasses import dataclass

from swarmlet.model.compose.env_file import variables_of_env_file
from swarmlet.model.compose.environment import env_files
from swarmlet.model.compose.errors import ComposeError
from swarmlet.model.compose.expansion import expand
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.interpolation import interpolate, variables_in
from swarmlet.model.compose.marks import Entry, Mapping, Node
from swarmlet.model.compose.scalars import pairs
from swarmlet.model.compose.source import read_tree


@dataclass(frozen=True, slots=True)
class NeededInputs:
    variables: frozenset[str] = frozenset()
    env_files: tuple[str, ...] = ()
    """Paths as written (relative to the Compose file), variables filled in; each once, in file order."""


def needed_inputs(
    text: str, variables: MappingOf[str, str] | None = None, files: MappingOf[str, str] | None = None
) -> NeededInputs:
    """What is known of the file's needs with these variables, and these env files by their path."""
    try:
        root = expand(read_tree(text, ""))
    except ComposeError:
        return NeededInputs()
    needed = set(variables_in(root))
    for environment in _of_services(root, "environment"):
        needed.update(_names_without_value(environment))
    paths = tuple(dict.fromkeys(_env_files(root, variables or {})))
    for path in paths:
        needed.update(variables_of_env_file((files or {}).get(path, "")))
    return NeededInputs(frozenset(needed), paths)


def _env_files(root: Node, variables: MappingOf[str, str]) -> Iterator[str]:
    findings = Findings("")
    # Raised only for a file so full of faults that none of its needs matters.
    with suppress(ComposeError):
        for node in _of_services(interpolate(root, variables, findings), "env_file"):
            for file in env_files(node, findings):
                yield file.path


def _names_without_value(environment: Node) -> Iterator[str]:
    try:
        yield from (pair.name for pair in pairs(environment) if pair.value is None)
    except ComposeError:
        return


def _of_services(root: Node, key: str) -> Iterator[Node]:
    for services in _values(root, "services"):
        for service in _entries(services):
            yield from _values(service.value, key)


def _values(node: Node, key: str) -> Iterator[Node]:
    return (entry.value for entry in _entries(node) if entry.key == key)


def _entries(node: Node) -> tuple[Entry, ...]:
    return node.entries if isinstance(node, Mapping) else ()
