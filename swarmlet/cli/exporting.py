"""`swarmlet export kubernetes`: a stack as manifests, from a peer or from Compose files, then without an agent.

From files the contents of secrets are written, too: they are the user's own, and here. A peer shows them to nobody.
"""

import sys
from typing import Annotated

import typer

from swarmlet.api.export_schema import ExportView, NoteView
from swarmlet.cli.checking import stack_name
from swarmlet.cli.client import Client, path_to
from swarmlet.cli.compose_files import FilesOption, ProfilesOption, read_compose_files
from swarmlet.cli.output import Output, OutputOption, show_json
from swarmlet.export import as_yaml, to_kubernetes
from swarmlet.model.bonds import as_stored
from swarmlet.model.compose import Unbuilt, parse_stack

export_app = typer.Typer(no_args_is_help=True, help="Write stacks in others' formats.")


@export_app.callback()
def _export() -> None:
    """Keeps `kubernetes` a command of its own while it is the only one."""


@export_app.command("kubernetes")
def export_kubernetes(
    stack: Annotated[
        str | None, typer.Argument(metavar="[STACK]", help="A deployed stack; with -f, what to call the stack.")
    ] = None,
    files: FilesOption = None,
    profile: ProfilesOption = None,
    unbuilt: Annotated[
        Unbuilt, typer.Option("--unbuilt", help="With -f: services with `build` and no `image`.")
    ] = Unbuilt.EXPECT,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print manifests for `kubectl apply -f -`; what they can't say stands at their head and on standard error."""
    if files:
        view = _of_files(stack, files, profile or [], unbuilt)
    elif stack is not None:
        view = Client.from_environment().get(path_to("stacks", stack, "export", "kubernetes"), ExportView)
    else:
        raise typer.BadParameter("give a deployed stack's name, or a Compose file with -f")
    if output is Output.JSON:
        show_json(view)
        return
    for note in view.notes:
        place = f"{note.service}: {note.key}" if note.service and note.key else note.service or note.key
        print(f"note: {place}: {note.message}", file=sys.stderr)
    print(view.text, end="")


def _of_files(stack: str | None, paths: FilesOption, profiles: list[str], unbuilt: Unbuilt) -> ExportView:
    files = read_compose_files(paths or [])
    request = files.request(profiles, unbuilt)
    parsed = parse_stack(
        stack or stack_name(files),
        files.source.text,
        files.source.filename,
        request.variables,
        request.files,
        files.given(profiles, unbuilt),
    )
    for warning in parsed.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    exported = to_kubernetes(as_stored(parsed.spec), reveal=True)
    notes = [NoteView(service=note.service, key=note.key, message=note.message) for note in exported.notes]
    return ExportView(stack=parsed.spec.name, text=as_yaml(exported), documents=list(exported.documents), notes=notes)
