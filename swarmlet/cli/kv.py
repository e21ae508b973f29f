"""`swarmlet kv`: small values in the cluster's store. A value is printed and taken as it is, byte by byte."""

import secrets
import sys
from typing import Annotated

import typer

from swarmlet.api.schema import KeyListing, KeyView, WriteReply
from swarmlet.cli.client import Client, path_to
from swarmlet.cli.output import Output, OutputOption, show_json, show_table

kv_app = typer.Typer(no_args_is_help=True, help="Keep small values in the cluster's store, with revisions.")

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="May contain slashes.")]
RevisionOption = Annotated[
    int | None,
    typer.Option("--revision", min=0, help="Only if the object is at this revision; 0: only if there is none."),
]


@kv_app.command("get")
def get(
    key: KeyArgument,
    linearizable: Annotated[bool, typer.Option(help="With every write that was acknowledged before.")] = True,
) -> None:
    """Print a value."""
    consistency = "linearizable" if linearizable else "local"
    answer = Client.from_environment().request("GET", path_to("kv", key), query={"consistency": consistency})
    sys.stdout.buffer.write(answer.body)
    sys.stdout.buffer.flush()


@kv_app.command("put")
def put(
    key: KeyArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The value, or - to read it from standard input.")],
    revision: RevisionOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write a value."""
    content = sys.stdin.buffer.read() if value == "-" else value.encode(errors="surrogateescape")
    _write("PUT", key, content, revision, output)


@kv_app.command("delete")
def delete(key: KeyArgument, revision: RevisionOption = None, output: OutputOption = Output.TABLE) -> None:
    """Delete a value; one that is not there is no error."""
    _write("DELETE", key, None, revision, output)


@kv_app.command("list")
def list_keys(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Only keys that begin so.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """The keys, with the size and the revision of their values."""
    client = Client.from_environment()
    found: list[KeyView] = []
    while True:
        after = found[-1].key if found else None
        page = client.get("/v1/kv", KeyListing, prefix=prefix, after=after)
        found += page.items
        if not page.more:
            break
    show_table(
        found,
        [("KEY", lambda one: one.key), ("BYTES", lambda one: one.size_bytes), ("REVISION", lambda one: one.revision)],
        output,
    )


def _write(method: str, key: str, content: bytes | None, revision: int | None, output: Output) -> None:
    # The request id makes it safe to try the next address when one does not answer.
    headers = {"Swarmlet-Request": f"cli-{secrets.token_hex(8)}:1"}
    query: dict[str, str | int | None] = {"revision": revision}
    answer = Client.from_environment().request(
        method, path_to("kv", key), query=query, content=content, headers=headers
    )
    reply = answer.parse(WriteReply)
    show_json(reply) if output is Output.JSON else print(f"{key}: revision {reply.revision}")
