"""`swarmlet compose check`: all that is wrong or odd with Compose files, found here, without an agent."""

import re
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from swarmlet.cli.compose_files import ComposeFiles, FilesOption, ProfilesOption, UnreadableFile, read_compose_files
from swarmlet.cli.output import Output, OutputOption, show_json
from swarmlet.model.compose import CheckedStack, ComposeError, ComposeWarning, check_stack

DEFAULT_STACK = "stack"
REFUSED_STATUS = 1
USAGE_STATUS = 2

compose_app = typer.Typer(no_args_is_help=True, help="Check Compose files, without an agent.")


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class FindingView(BaseModel):
    severity: Severity
    file: str
    line: int
    column: int
    key: str
    message: str


class CheckView(BaseModel):
    """One stack: a file, or several that were merged."""

    files: list[str]
    accepted: bool
    findings: list[FindingView]
    """Errors first, each kind in the order of the files."""
    unbuilt: dict[str, str]
    """Images that somebody has to build before it can run, by service."""


@compose_app.command("check")
def compose_check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE…", help="Compose files, each checked alone.")
    ] = None,
    merged: FilesOption = None,
    profile: ProfilesOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say all that is wrong and all that has no effect, with line and column. Status 1 if any file is refused."""
    stacks = [[path] for path in files or []] + ([merged] if merged else [])
    if not stacks:
        raise typer.BadParameter("give a Compose file")
    views: list[CheckView] = []
    unreadable = False
    for paths in stacks:
        try:
            views.append(check(paths, profile or []))
        except UnreadableFile as error:
            print(f"swarmlet: {error}", file=sys.stderr)
            unreadable = True
            continue
        if output is Output.TABLE:
            show(views[-1])
    if output is Output.JSON:
        show_json(views)
    if unreadable:
        raise typer.Exit(USAGE_STATUS)
    if not all(view.accepted for view in views):
        raise typer.Exit(REFUSED_STATUS)


def check(paths: Sequence[Path], profiles: Sequence[str]) -> CheckView:
    """Raises `UnreadableFile`."""
    names = [str(path) for path in paths]
    try:
        files = read_compose_files(paths)
    except ComposeError as error:
        return CheckView(files=names, accepted=False, findings=[_finding(Severity.ERROR, error)], unbuilt={})
    checked = check_stack(
        stack_name(files),
        files.source.text,
        str(paths[0]),
        files.variables,
        files.files,
        files.given(profiles),
    )
    return CheckView(
        files=names, accepted=not checked.errors, findings=list(_findings(checked)), unbuilt=dict(checked.unbuilt)
    )


def show(view: CheckView) -> None:
    for finding in view.findings:
        place = f"{finding.file}:{finding.line}:{finding.column}"
        key = f"{finding.key}: " if finding.key else ""
        print(f"{place}: {finding.severity}: {key}{finding.message}")
    for service, image in view.unbuilt.items():
        print(f"{view.files[0]}: {service} needs the image {image}, which is not built here")
    warnings = sum(finding.severity is Severity.WARNING for finding in view.findings)
    errors = len(view.findings) - warnings
    verdict = "accepted" if view.accepted else f"refused, {_count(errors, 'error')}"
    print(f"{' + '.join(view.files)}: {verdict}, {_count(warnings, 'warning')}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _findings(checked: CheckedStack) -> Iterator[FindingView]:
    for error in checked.errors:
        yield _finding(Severity.ERROR, error)
    for warning in checked.warnings:
        yield _finding(Severity.WARNING, warning)


def _finding(severity: Severity, found: ComposeError | ComposeWarning) -> FindingView:
    place = found.place
    return FindingView(
        severity=severity,
        file=place.filename,
        line=place.line,
        column=place.column,
        key=found.key_path,
        message=found.message,
    )


def stack_name(files: ComposeFiles) -> str:
    """As Compose would call it: its own `name`, or its folder's. The file's own is found without reading it twice."""
    named = re.search(r"^name:[ \t]*[\"']?([a-z0-9][a-z0-9_-]{0,61})", files.source.text, re.MULTILINE)
    if named:
        return named.group(1).rstrip("-_")
    of_folder = re.sub(r"[^a-z0-9_-]", "", files.folder.name.lower()).strip("-_")[:63].strip("-_")
    return of_folder or DEFAULT_STACK
