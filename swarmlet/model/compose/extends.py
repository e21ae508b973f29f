"""`extends`: a service takes over another's keys, of the same file or another, and its own are merged into them.

Source: https://docs.docker.com/reference/compose-file/services/#extends. Chains are followed to their end; one that
comes back to where it began is refused, and every copy is paid from the budget of values.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from swarmlet.model.compose.errors import ComposeError, refused
from swarmlet.model.compose.expansion import Expansion
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Entry, Mapping, Node, Scalar, Sequence, shown
from swarmlet.model.compose.merging import merge, settled
from swarmlet.model.compose.scalars import string

CHAIN_MAX = 16
"""Services that extend one another in a row."""
_PATTERN = "services.*.extends"
_KEY = "extends"


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """One file, its variables filled in and its paths relative to the stack's folder."""

    path: str
    root: Mapping

    def services(self) -> dict[str, Entry]:
        entries = next((entry.value for entry in self.root.entries if entry.key == "services"), None)
        return {entry.key: entry for entry in entries.entries} if isinstance(entries, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Extends:
    open: Callable[[str, Node], ComposeFile]
    """The file at a path. Raises `ComposeError` at the node when it is not there."""
    expansion: Expansion
    findings: Findings
    broken: set[str]
    """Services that could not be had, by name: what is wrong with them is a finding already."""
    _done: dict[tuple[str, str], tuple[Node, int]] = field(default_factory=dict)
    """Each service as it is in the end, and how many it took over from in a row."""
    _in_cycles: set[tuple[str, str]] = field(default_factory=set)
    """Told of once, not at each service of the cycle."""

    def file(self, file: ComposeFile) -> Mapping:
        """The file's root, each service with all that it extends."""
        services = file.services()
        if not any(_extension(entry.value) for entry in services.values()):
            return file.root
        entries: list[Entry] = []
        for name, entry in services.items():
            value = entry.value
            try:
                value, _ = self._service(file, name, ())
            except ComposeError as error:
                if (file.path, name) not in self._in_cycles or not self.broken:
                    self.findings.refuse(error)
                self.broken.add(name)
            entries.append(replace(entry, value=value))
        whole = tuple(
            replace(entry, value=replace(entry.value, entries=tuple(entries)))
            if entry.key == "services" and isinstance(entry.value, Mapping)
            else entry
            for entry in file.root.entries
        )
        return replace(file.root, entries=whole)

    def _service(self, file: ComposeFile, name: str, chain: tuple[tuple[str, str], ...]) -> tuple[Node, int]:
        here = (file.path, name)
        if here not in self._done:
            node = file.services()[name].value
            extension = _extension(node)
            if extension is None:
                self._done[here] = (node, 0)
            else:
                self._done[here] = self._extended(file, node, extension, (*chain, here))
        return self._done[here]

    def _extended(
        self, file: ComposeFile, own: Node, extension: Node, chain: tuple[tuple[str, str], ...]
    ) -> tuple[Node, int]:
        assert isinstance(own, Mapping)
        name, path = self._named(extension)
        source = self.open(path, extension) if path else file
        services = source.services()
        if name not in services:
            near = get_close_matches(name, services, n=1)
            remedy = f"write {near[0]}" if near else "write the name of one"
            raise refused(extension, f"no service in {source.path} is called {shown(name)}, {remedy}")
        if (source.path, name) in chain:
            self._in_cycles.update(chain)
            way = " → ".join([*(service for _, service in chain), name])
            raise refused(extension, f"a cycle of services that extend each other ({way}), remove one 'extends'")
        base, depth = self._service(source, name, chain) if len(chain) <= CHAIN_MAX else (own, CHAIN_MAX)
        if depth >= CHAIN_MAX:
            raise refused(extension, f"more than {CHAIN_MAX} services extend one another in a row, write fewer")
        self.expansion.pay(_count(base), extension)
        rest = replace(own, entries=tuple(entry for entry in own.entries if entry.key != _KEY))
        merged = merge(settled(base), rest, "services.*")
        return replace(merged, place=own.place, path=own.path), depth + 1

    def _named(self, extension: Node) -> tuple[str, str]:
        """The service to extend and its file (`""`: the same)."""
        if not isinstance(extension, Mapping):
            return string(extension), ""
        fields = Fields(extension, _PATTERN, self.findings)
        return fields.require("service", string, "base"), fields.read("file", string, "")


def _extension(service: Node) -> Node | None:
    entries = service.entries if isinstance(service, Mapping) else ()
    return next((entry.value for entry in entries if entry.key == _KEY), None)


def _count(node: Node) -> int:
    match node:
        case Scalar():
            return 1
        case Sequence():
            return 1 + sum(map(_count, node.items))
        case Mapping():
            return 1 + sum(_count(entry.value) for entry in node.entries)
