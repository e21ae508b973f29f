"""`swarmlet history`, `rollback` and `rollout`: the revisions a service has had, and how it gets to another one."""

import time
from typing import Annotated

import typer

from swarmlet.api.rollout_schema import RevisionView, RollbackRequest, RolloutAction, RolloutRequest
from swarmlet.api.schema import Listing, ServiceState, ServiceView, WriteReply
from swarmlet.cli.client import Client, path_to
from swarmlet.cli.output import Output, OutputOption, age, show_json, show_table
from swarmlet.errors import SwarmletError

POLL_S = 0.2

rollout_app = typer.Typer(no_args_is_help=True, help="The present rollout of a service: look at it, and steer it.")

ServiceArgument = Annotated[str, typer.Argument(metavar="STACK.SERVICE")]


class RollbackFailed(SwarmletError):
    pass


def add_commands(app: typer.Typer) -> None:
    app.command()(history)
    app.command()(rollback)
    app.add_typer(rollout_app, name="rollout")


def history(
    target: Annotated[str, typer.Argument(metavar="STACK.SERVICE|STACK", help="A service, or all of a stack.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """The revisions that a service has had, the youngest first. `swarmlet rollback` goes back to one."""
    kind = "services" if "." in target else "stacks"
    listing = Client.from_environment().get(path_to(kind, target, "history"), Listing[RevisionView])
    show_table(
        listing.items,
        [
            ("SERVICE", lambda item: item.service),
            ("NUMBER", lambda item: f"{item.number}{' *' if item.current else ''}"),
            ("REVISION", lambda item: item.revision),
            ("IMAGE", lambda item: item.image),
            ("OUTCOME", lambda item: item.outcome),
            ("BEGUN", lambda item: age(item.begun_at)),
            ("REASON", lambda item: item.reason),
        ],
        output,
    )


def rollback(
    service: ServiceArgument,
    to: Annotated[
        int | None, typer.Option("--to", min=1, help="The revision's number; else the last healthy one before.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once it is committed; don't wait.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for the outcome.")] = 120.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a service what it was as an earlier revision, all of it, and wait until it is."""
    client = Client.from_environment()
    reply = client.request_once(
        "POST", path_to("services", service, "rollback"), RollbackRequest(to=to), shown_by=f"swarmlet history {service}"
    ).parse(WriteReply)
    if detach:
        show_json(reply) if output is Output.JSON else print(f"{service}: committed as revision {reply.revision}")
        return
    view = _wait_done(client, service, reply, timeout)
    if output is Output.JSON:
        show_json(view)
        return
    assert view.rollout is not None
    print(f"{service}: {view.rollout.reason}, {view.ready} of {view.wanted} ready as number {view.rollout.number}")


def _wait_done(client: Client, service: str, reply: WriteReply, timeout_s: float) -> ServiceView:
    deadline = time.monotonic() + timeout_s
    while True:
        answer = client.request("GET", path_to("services", service))
        view = answer.parse(ServiceView)
        if answer.revision >= reply.revision:
            if view.state is ServiceState.CONVERGED and view.rollout is not None:
                return view
            if view.rollout is not None and view.rollout.waits:
                raise RollbackFailed(f"{service}: the rollback is paused: {view.rollout.reason}")
        if time.monotonic() >= deadline:
            why = view.problem or "still starting"
            raise RollbackFailed(f"{service}: {view.ready} of {view.wanted} ready after {timeout_s:.0f} s, {why}")
        time.sleep(POLL_S)


@rollout_app.command()
def status(service: ServiceArgument, output: OutputOption = Output.TABLE) -> None:
    """How far a service's rollout is, and what it waits for."""
    view = Client.from_environment().get(path_to("services", service), ServiceView)
    if output is Output.JSON:
        show_json(view)
        return
    print(f"service   {view.id}, revision {view.revision}, {view.state}")
    print(f"tasks     {view.ready} of {view.wanted} ready, {view.outdated} of an earlier revision")
    rollout = view.rollout
    if rollout is None:
        print("rollout   not begun yet")
        return
    kind = "rollback" if rollout.rollback else "rollout"
    print(f"{kind:<9} number {rollout.number}, {rollout.state}, begun {age(rollout.begun_at)} ago")
    if rollout.canary_percent is not None:
        print(f"canary    {rollout.canary_percent} %" + (", waits to be resumed" if rollout.waits else ""))
    if rollout.reason:
        print(f"reason    {rollout.reason}")
    if view.problem:
        print(f"problem   {view.problem}")
    for node, why in sorted(view.per_node.items()):
        print(f"          {node}: {why}")


@rollout_app.command()
def pause(service: ServiceArgument) -> None:
    """Begin nothing new. What is in transition is brought to its end; nothing is judged meanwhile."""
    _steer(service, RolloutAction.PAUSE, "paused")


@rollout_app.command()
def resume(service: ServiceArgument) -> None:
    """Go on: with a paused rollout, or from a canary step that waits."""
    _steer(service, RolloutAction.RESUME, "goes on")


@rollout_app.command()
def abort(service: ServiceArgument) -> None:
    """Take the rollout back: the whole service becomes the last healthy revision again."""
    _steer(service, RolloutAction.ABORT, "is taken back")


def _steer(service: str, action: RolloutAction, done: str) -> None:
    reply = (
        Client.from_environment()
        .request_once(
            "POST",
            path_to("services", service, "rollout"),
            RolloutRequest(action=action),
            shown_by=f"swarmlet rollout status {service}",
        )
        .parse(WriteReply)
    )
    print(f"{service}: the rollout {done}, revision {reply.revision}")
