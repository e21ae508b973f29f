"""One stack from many files: those given (`-f a -f b`), those they include, and those their services extend.

Order, as in Compose: each file is read, its variables are filled in and its services extended; then the files given
are merged in order; then what they include is put beside it. An included file is a stack of its own with its own
folder and its own `.env`; what it declares may not be declared again by whoever includes it.
Pure: files come from `Inputs`, and whatever was asked for is noted in `Needs`, so that a client knows what to send.
"""

import functools
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace
from posixpath import basename, dirname

from swarmlet.model.compose.budget import Budget
from swarmlet.model.compose.env_file import parse_env_file, variables_of_env_file
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.expansion import Expansion
from swarmlet.model.compose.extends import ComposeFile, Extends
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.interpolation import interpolate, text_budget, variables_in, warn_unset
from swarmlet.model.compose.marks import Entry, Mapping, Node, Place, below, is_null, shown
from swarmlet.model.compose.merging import merge, settled
from swarmlet.model.compose.rebasing import rebase, resolved
from swarmlet.model.compose.scalars import mapping, sequence, string, texts
from swarmlet.model.compose.source import read_tree

FILES_MAX = 100
"""Of one stack, each inclusion counted."""
DEPTH_MAX = 16
"""Of files that include one another."""
_PATTERN = "include[]"
_REMOTE = ("://", "git@")


@dataclass(frozen=True, slots=True)
class Source:
    """A Compose file that was given, not found: its name for messages, and its text."""

    filename: str
    text: str


@dataclass(slots=True)
class Needs:
    """What was asked for while a stack was put together, by path or name, in order."""

    variables: set[str] = field(default_factory=set)
    files: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Project:
    """A set of files with one folder and one set of variables."""

    variables: MappingOf[str, str]
    base: str
    chain: tuple[str, ...]
    """Paths of the files that led here."""


class Assembly:
    def __init__(self, files: MappingOf[str, str], findings: Findings) -> None:
        """`files` holds all texts but those given, by their path seen from the stack's folder."""
        self.needs = Needs()
        self.broken: set[str] = set()
        self._files = files
        self._findings = findings
        self._expansion = Expansion()
        self._interpolated = text_budget()
        self._count = Budget(FILES_MAX, "more than {limit} files in one stack, include fewer or write fewer 'extends'")

    def stack(self, sources: tuple[Source, ...], variables: MappingOf[str, str]) -> Node:
        """The whole stack as one tree. Raises `ComposeError` at what keeps it from being read at all."""
        chain = tuple(_path_of(source) for source in sources)
        return settled(self._project(sources, _Project(variables, "", chain)))

    def _project(self, sources: tuple[Source, ...], project: _Project) -> Node:
        merged: Node | None = None
        included: list[Mapping] = []
        for source in sources:
            file = self._read(source, project)
            opened = {file.path: file}
            extends = Extends(
                functools.partial(self._open, project, opened), self._expansion, self._findings, self.broken
            )
            root = extends.file(file)
            includes = next((entry.value for entry in root.entries if entry.key == "include"), None)
            if includes is not None:
                root = replace(root, entries=tuple(entry for entry in root.entries if entry.key != "include"))
                with self._findings.collecting():
                    included += self._include(includes, project)
            merged = root if merged is None else merge(merged, root, "")
        assert isinstance(merged, Mapping), "there is at least one file, and a mapping merged stays one"
        for other in included:
            merged = self._beside(merged, other)
        return merged

    def _read(self, source: Source, project: _Project) -> ComposeFile:
        tree = self._expansion.file(read_tree(source.text, source.filename))
        self.needs.variables.update(variables_in(tree))
        filled = interpolate(tree, project.variables, self._findings, self._interpolated)
        path = source.filename if project.base else _path_of(source)
        return ComposeFile(path, mapping(rebase(filled, project.base)))

    def _open(self, project: _Project, opened: dict[str, ComposeFile], path: str, node: Node) -> ComposeFile:
        """A file that a service extends: same variables, but a folder of its own."""
        if path not in opened:
            opened[path] = self._read(self._source(path, node), replace(project, base=dirname(path)))
        return opened[path]

    def _source(self, path: str, node: Node) -> Source:
        if any(mark in path for mark in _REMOTE):
            raise refused(node, f"{shown(path)} is not a file of this machine, write the path of one")
        self._count.pay(1, node.place, node.path)
        self.needs.files[path] = None
        text = self._files.get(path)
        if text is None:
            raise refused(node, f"the file {path} is missing, create it or write the path of one that is there")
        return Source(path, text)

    def _include(self, node: Node, project: _Project) -> list[Mapping]:
        found: list[Mapping] = []
        for item in sequence(node).items:
            with self._findings.collecting():
                found.append(self._included(item, project))
        return found

    def _included(self, item: Node, project: _Project) -> Mapping:
        if not isinstance(item, Mapping):
            paths: tuple[str, ...] = (string(item),)
            env_files: tuple[str, ...] | None = None
            base = ""
        else:
            fields = Fields(item, _PATTERN, self._findings)
            paths = fields.require("path", texts, "other.yaml")
            env_files = fields.read("env_file", texts, None)
            base = fields.read("project_directory", string, "")
        if not paths:
            raise refused(item, "includes no file, write 'path: other.yaml'")
        for path in paths:
            if path in project.chain:
                way = " → ".join(map(basename, (*project.chain[project.chain.index(path) :], path)))
                raise refused(item, f"a cycle of files that include each other ({way}), remove one 'include'")
        if len(project.chain) > DEPTH_MAX:
            raise refused(item, f"files are included deeper than {DEPTH_MAX} levels, include them further up")
        base = base or dirname(paths[0])
        variables = self._variables(env_files, base, item, project)
        sources = tuple(self._source(path, item) for path in paths)
        # The chain names files by path; an included one's own name is its path.
        return mapping(self._project(sources, _Project(variables, base, (*project.chain, *paths))))

    def _variables(
        self, env_files: tuple[str, ...] | None, base: str, node: Node, project: _Project
    ) -> MappingOf[str, str]:
        """The included stack's: its env files give defaults only, what is set already is stronger."""
        values: dict[str, str] = {}
        for path in (resolved(base, ".env"),) if env_files is None else env_files:
            self.needs.files[path] = None
            text = self._files.get(path)
            if text is not None:
                self.needs.variables.update(variables_of_env_file(text))
                values |= parse_env_file(text, path, project.variables, self._warn_unset)
            elif env_files is not None:
                raise refused(node, f"the file {path} is missing, create it or remove it from 'env_file'")
        return {**values, **project.variables}

    def _warn_unset(self, place: Place, name: str) -> None:
        warn_unset(self._findings, place, "", name)

    def _beside(self, root: Mapping, other: Mapping) -> Mapping:
        """What another file declares, put into this one; the same thing declared twice is refused."""
        sections = {entry.key: entry for entry in root.entries}
        for section in other.entries:
            mine = sections.get(section.key)
            if mine is None or is_null(mine.value):
                sections[section.key] = section
            elif section.key in ("name", "version") or section.key.startswith("x-") or is_null(section.value):
                continue  # the including file's own counts
            elif isinstance(mine.value, Mapping) and isinstance(section.value, Mapping):
                sections[section.key] = replace(mine, value=self._united(mine.value, section.value))
            else:
                message = f"{shown(section.key)} is {mine.value.kind} in one file and {section.value.kind} in another"
                self._findings.refuse(refused(section.value, f"{message}, write a mapping in both"))
        return replace(root, entries=tuple(sections.values()))

    def _united(self, mine: Mapping, other: Mapping) -> Mapping:
        declared = {entry.key: entry for entry in mine.entries}
        for entry in other.entries:
            before = declared.setdefault(entry.key, entry)
            if before.value != entry.value:
                self._refuse_second(before, entry, mine.path)
        return replace(mine, entries=tuple(declared.values()))

    def _refuse_second(self, before: Entry, entry: Entry, path: str) -> None:
        message = f"{shown(entry.key)} is declared in an included file too ({entry.key_place}), rename one of the two"
        self._findings.refuse(
            refused(replace(before.value, place=before.key_place, path=below(path, entry.key)), message)
        )


def _path_of(source: Source) -> str:
    """Of a file that was given: messages may name it by a longer path than the one others find it by."""
    return source.filename if source.filename.startswith("..") else basename(source.filename)
