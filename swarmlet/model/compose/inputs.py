"""What a stack needs from the machine it is deployed from: variables, and files of three kinds.

A client reads these and sends them along, since the stack is parsed by an agent on another host. Never raises: what is
wrong with a file is said once, by `parse_stack`. Paths may hold variables, and files may name more files and more
variables, so a client asks again with what it found until nothing new is asked for.
"""

from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from contextlib import suppress
from dataclasses import dataclass

from swarmlet.model.compose.assembly import Assembly, Source
from swarmlet.model.compose.env_file import variables_of_env_file
from swarmlet.model.compose.environment import env_files
from swarmlet.model.compose.errors import ComposeError
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Entry, Mapping, Node, Scalar, Sequence
from swarmlet.model.compose.scalars import pairs
from swarmlet.model.compose.stack import HOME_VARIABLE
from swarmlet.model.compose.stored_files import paths_of, variables_of


@dataclass(frozen=True, slots=True)
class NeededInputs:
    variables: frozenset[str] = frozenset()
    files: tuple[str, ...] = ()
    """Texts: other Compose files, env files, label files. Paths as seen from the folder of the (first) Compose file,
    variables filled in; each once, in the order they are asked for. Some may not exist."""
    contents: tuple[str, ...] = ()
    """Files of configs and secrets, whatever is in them."""


def needed_inputs(
    text: str,
    variables: MappingOf[str, str] | None = None,
    files: MappingOf[str, str] | None = None,
    overrides: tuple[Source, ...] = (),
) -> NeededInputs:
    """What is known of the stack's needs with these variables, and these files by their path."""
    known_files = files or {}
    findings = Findings("")
    assembly = Assembly(known_files, findings)
    root: Node | None = None
    # Raised for a file that can't be read, or so full of faults that none of its needs matters.
    with suppress(ComposeError):
        root = assembly.stack((Source("", text), *overrides), variables or {})
    needed, paths = assembly.needs.variables, assembly.needs.files
    if root is None:
        return NeededInputs(frozenset(needed), tuple(paths))
    for environment in _of_services(root, "environment"):
        needed.update(_names_without_value(environment))
    own = tuple(dict.fromkeys(_texts(root)))
    for path in own:
        needed.update(variables_of_env_file(known_files.get(path, "")))
    needed.update(variables_of(root))
    if any(source.startswith("~") for source in _mount_sources(root)):
        needed.add(HOME_VARIABLE)
    return NeededInputs(frozenset(needed), tuple(dict.fromkeys((*paths, *own))), paths_of(root))


def _texts(root: Node) -> Iterator[str]:
    findings = Findings("")
    with suppress(ComposeError):
        for node in (*_of_services(root, "env_file"), *_of_services(root, "label_file")):
            for file in env_files(node, findings):
                yield file.path


def _mount_sources(root: Node) -> Iterator[str]:
    for volumes in _of_services(root, "volumes"):
        for item in volumes.items if isinstance(volumes, Sequence) else ():
            for node in (item, *_values(item, "source")):
                if isinstance(node, Scalar):
                    yield node.text


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
