"""`swarmlet keyring`: the cluster's keys by their ids, and their rotation in three steps. Keys are never printed."""

import sys
from typing import Annotated

import typer

from swarmlet.api.schema import KeyringView, KeyUse
from swarmlet.cli.client import Client, path_to
from swarmlet.cli.output import Output, OutputOption, show_json, show_table
from swarmlet.errors import SwarmletError

app = typer.Typer(no_args_is_help=True, help="The cluster's keys: list them, and change them while it runs.")

SHOWN_BY = "swarmlet keyring list"

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="A key's id, as `swarmlet keyring list` shows it.")]


class StepIncomplete(SwarmletError):
    def __init__(self, step: str, view: KeyringView) -> None:
        missing = "; ".join(f"{node.node}: {node.problem}" for node in view.nodes if node.problem and not node.away)
        super().__init__(f"{step}, but not on every node ({missing}): look at `swarmlet keyring list`, do it again")


@app.command("list")
def list_keys(output: OutputOption = Output.TABLE) -> None:
    """Which keys every node accepts, and which it seals with. Exit status 1 when a live node did not answer."""
    view = Client.from_environment().get("/v1/keyring", KeyringView)
    _show(view, output)
    if _failed(view):
        raise typer.Exit(1)


@app.command()
def install(output: OutputOption = Output.TABLE) -> None:
    """Make a new key and give it to every live node. They accept it from now on; nothing is sealed with it yet."""
    client = Client.from_environment()
    view = client.request_once("POST", "/v1/keyring/keys", shown_by=SHOWN_BY).parse(KeyringView)
    _done(f"key {view.key} is installed", view, output, f"swarmlet keyring use {view.key}")


@app.command()
def use(key: KeyArgument, output: OutputOption = Output.TABLE) -> None:
    """Seal with this key from now on. Every live node must have it."""
    view = Client.from_environment().request("PUT", "/v1/keyring/primary", KeyUse(key=key)).parse(KeyringView)
    old = next((each for each in view.keys if each != key), "")
    _done(f"key {key} is in use", view, output, f"swarmlet keyring remove {old}" if old else "")


@app.command()
def remove(
    key: KeyArgument,
    force: Annotated[
        bool, typer.Option("--force", help="Although a node is away, which then needs a new key file to come back.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Accept this key no longer. No live node may seal with it."""
    client = Client.from_environment()
    query = {"force": 1 if force else None}
    view = client.request_once("DELETE", path_to("keyring", "keys", key), query=query, shown_by=SHOWN_BY).parse(
        KeyringView
    )
    _done(f"key {key} is removed", view, output, "")


def _failed(view: KeyringView) -> bool:
    return any(node.problem and not node.away for node in view.nodes)


def _done(step: str, view: KeyringView, output: Output, next_step: str) -> None:
    _show(view, output)
    if _failed(view):
        raise StepIncomplete(step, view)
    if output is Output.TABLE:
        print(f"{step} on {sum(1 for node in view.nodes if node.keys)} nodes")
        if next_step:
            print(f"next: {next_step}")
    for node in view.nodes:
        if node.away:
            print(f"warning: {node.node} is away ({node.problem}) and was not told", file=sys.stderr)


def _show(view: KeyringView, output: Output) -> None:
    if output is Output.JSON:
        show_json(view)
        return
    show_table(
        view.nodes,
        [
            ("NODE", lambda node: node.node),
            ("SEALS WITH", lambda node: node.primary or "-"),
            ("ALSO ACCEPTS", lambda node: " ".join(key for key in node.keys if key != node.primary) or "-"),
            ("VERSION", lambda node: node.version if node.keys else "-"),
            ("PROBLEM", lambda node: node.problem),
        ],
        output,
    )
