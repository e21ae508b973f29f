"""Reads Compose files and everything of this machine that they refer to: variables, and files of three kinds.

Variables may stand in paths, and files may name more files and more variables: each look shows the next, until nothing
new is asked for. A file that is missing is the parser's to judge, since it may be declared as not required.
"""

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from swarmlet.api.schema import ComposeFileText, DeployRequest
from swarmlet.errors import SwarmletError
from swarmlet.model.compose import CONTENT_BYTES_MAX, Given, Source, Unbuilt, needed_inputs, parse_env_file

LOOKS_MAX = 64
"""More than files may include and extend one another: the parser refuses what goes deeper."""
PROFILES_VARIABLE = "COMPOSE_PROFILES"


FilesOption = Annotated[
    list[Path] | None, typer.Option("--file", "-f", metavar="FILE", help="A Compose file; several are merged in order.")
]
ProfilesOption = Annotated[
    list[str] | None, typer.Option("--profile", metavar="NAME", help="A profile whose services are wanted too.")
]


class UnreadableFile(SwarmletError):
    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}: give the path of a readable file")
        self.path = path


@dataclass(frozen=True, slots=True)
class ComposeFiles:
    """A stack's files as they are here."""

    source: Source
    overrides: tuple[Source, ...]
    folder: Path
    known: dict[str, str] = field(repr=False)
    """All variables of this machine: the environment, then `.env` beside the first file."""
    variables: dict[str, str] = field(repr=False)
    """Those that the files ask for."""
    files: dict[str, str] = field(repr=False)
    contents: dict[str, str] = field(repr=False)
    """In base64."""

    def profiles(self, wanted: Sequence[str]) -> frozenset[str]:
        """Those asked for on the command line and those of `COMPOSE_PROFILES`."""
        named = (name.strip() for name in self.known.get(PROFILES_VARIABLE, "").split(","))
        return frozenset({*wanted, *(name for name in named if name)})

    def given(self, profiles: Sequence[str], unbuilt: Unbuilt = Unbuilt.REFUSE) -> Given:
        return Given(
            overrides=self.overrides,
            contents=self.contents,
            profiles=self.profiles(profiles),
            folder=str(self.folder),
            unbuilt=unbuilt,
        )

    def request(self, profiles: Sequence[str], unbuilt: Unbuilt = Unbuilt.REFUSE) -> DeployRequest:
        return DeployRequest(
            compose=self.source.text,
            filename=self.source.filename,
            overrides=[ComposeFileText(filename=each.filename, compose=each.text) for each in self.overrides],
            variables=self.variables,
            files=self.files,
            contents=self.contents,
            profiles=sorted(self.profiles(profiles)),
            folder=str(self.folder),
            unbuilt=unbuilt.value,
        )


def read_compose_files(paths: Sequence[Path]) -> ComposeFiles:
    """The files, merged in this order, with all that they need. Raises `UnreadableFile`; `ComposeError` for `.env`."""
    first, *others = paths
    folder = first.parent
    source = Source(first.name, _text(first))
    overrides = tuple(Source(os.path.relpath(path, folder), _text(path)) for path in others)
    dot_env = folder / ".env"
    known = parse_env_file(_text(dot_env), str(dot_env), os.environ) if _is(dot_env, Path.exists) else {}
    known |= os.environ
    files: dict[str, str] = {}
    asked: set[str] = set()
    for _ in range(LOOKS_MAX):
        needed = needed_inputs(source.text, known, files, overrides)
        new = [name for name in needed.files if name not in asked]
        asked.update(new)
        found = {name: _text(folder / name) for name in new if _is(folder / name, Path.is_file)}
        if not found:
            break
        files |= found
    contents = {name: _content(folder / name) for name in needed.contents if _is(folder / name, Path.is_file)}
    variables = {name: known[name] for name in needed.variables if name in known}
    return ComposeFiles(source, overrides, folder.absolute(), known, variables, files, contents)


def _is(path: Path, what: Callable[[Path], bool]) -> bool:
    try:
        return what(path)
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise UnreadableFile(path, f"is not UTF-8 text ({error.reason} at byte {error.start})") from error


def _content(path: Path) -> str:
    """One byte more than is allowed is enough to have it refused with its place."""
    try:
        with path.open("rb") as file:
            return base64.b64encode(file.read(CONTENT_BYTES_MAX + 1)).decode()
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from error
