"""`swarmlet voters`: who votes on every change, how far each is, and who is to vote."""

import sys
import time
from typing import Annotated

import typer

from swarmlet.api.schema import VotersReply, VotersRequest, VotersView
from swarmlet.cli.client import Client
from swarmlet.cli.output import Output, OutputOption, show_json, show_table
from swarmlet.errors import SwarmletError

POLL_S = 0.2


class BothWays(SwarmletError):
    def __init__(self) -> None:
        super().__init__("--set and --auto exclude each other: give one of them")


class NotFollowed(SwarmletError):
    def __init__(self, problem: str, timeout_s: float) -> None:
        super().__init__(f"committed, but not so after {timeout_s:g} s: {problem or 'see swarmlet voters'}")
        self.problem = problem


def voters(
    chosen: Annotated[
        str | None,
        typer.Option("--set", metavar="NODE,NODE,…", help="Let exactly these nodes vote, by name or id."),
    ] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Leave the choice to the cluster again.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait until a list is followed.")] = 60.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Who votes and who only follows, with zone, health and how far each log is; or who is to vote."""
    if chosen is not None and auto:
        raise BothWays
    client = Client.from_environment()
    if chosen is not None or auto:
        names = None if chosen is None else [name.strip() for name in chosen.split(",") if name.strip()]
        reply = client.request("PUT", "/v1/voters", VotersRequest(voters=names)).parse(VotersReply)
        for warning in reply.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        if names is not None:
            _wait_followed(client, timeout)
    view = client.get("/v1/voters", VotersView)
    if output is Output.JSON:
        show_json(view)
        return
    chosen_by = "the cluster" if view.automatic else f"a list: {', '.join(view.listed)}"
    print(f"chosen by  {chosen_by}")
    if view.problem:
        print(f"problem    {view.problem}")
    show_table(
        view.items,
        [
            ("NODE", lambda voter: voter.name),
            ("ROLE", lambda voter: voter.role),
            ("ZONE", lambda voter: voter.zone or "-"),
            ("HEALTH", lambda voter: voter.health),
            ("LAG", lambda voter: "-" if voter.lag is None else voter.lag),
            ("INDEX", lambda voter: "-" if voter.match_index is None else voter.match_index),
            ("ID", lambda voter: voter.id),
        ],
        output,
    )


def _wait_followed(client: Client, timeout_s: float) -> None:
    """Until those who vote are those on the list, as the peer that answers knows it."""
    deadline = time.monotonic() + timeout_s
    while True:
        view = client.get("/v1/voters", VotersView)
        if not view.changing and all(one.votes == one.listed for one in view.items):
            return
        if time.monotonic() > deadline:
            raise NotFollowed(view.problem, timeout_s)
        time.sleep(POLL_S)
