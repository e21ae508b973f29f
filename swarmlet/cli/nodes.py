"""`swarmlet nodes` and `swarmlet node …`: what nodes there are, and what people change about them."""

import re
import time
from typing import Annotated

import typer

from swarmlet.api.nodes_schema import DrainRequest, NodeChange, UnwantedTaintView
from swarmlet.api.schema import DrainView, Listing, NodeView, Schema, TaintView, WriteReply
from swarmlet.cli.client import Client, path_to
from swarmlet.cli.output import Output, OutputOption, show_json, show_table, size
from swarmlet.errors import SwarmletError

POLL_S = 0.2
DEADLINE_PATIENCE_S = 60.0
"""After a drain's deadline: tasks are being stopped, within their grace periods."""
EFFECTS = {"noschedule": "no-schedule", "noexecute": "no-execute"}
"""As Kubernetes writes them, too; without the hyphen and in lower case."""

node_app = typer.Typer(no_args_is_help=True, help="Cordon, drain, label, taint and forget nodes.")

NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="A node's name or id, as `swarmlet nodes` shows it.")]


class BadWord(SwarmletError):
    def __init__(self, word: str, examples: str) -> None:
        super().__init__(f"'{word}' is not understood: write {examples}")
        self.word = word


class NotDrained(SwarmletError):
    def __init__(self, node: str, waited_s: float, drain: DrainView) -> None:
        super().__init__(f"{node} is not drained after {waited_s:.0f} s, left there: {_left(drain)}")


class DrainEnded(SwarmletError):
    def __init__(self, node: str) -> None:
        super().__init__(f"{node}: the drain was ended, somebody has uncordoned the node")


def nodes(output: OutputOption = Output.TABLE) -> None:
    """The cluster's nodes."""
    listing = Client.from_environment().get("/v1/nodes", Listing[NodeView])
    show_table(
        listing.items,
        [
            ("NAME", lambda node: node.name),
            ("ADDRESS", lambda node: node.address),
            ("LIVENESS", lambda node: node.liveness),
            ("ROLE", lambda node: node.role),
            ("TASKS", lambda node: node.tasks),
            ("CPUS", lambda node: f"{node.cpus:g}"),
            ("MEMORY", lambda node: size(node.memory_bytes)),
            ("DEVICES", lambda node: " ".join(f"{kind}:{count}" for kind, count in sorted(node.devices.items()))),
            ("RUNTIME", lambda node: node.runtime),
            ("SCHEDULING", _scheduling),
            ("TAINTS", lambda node: " ".join(map(_taint_text, node.taints))),
            ("ID", lambda node: node.id),
        ],
        output,
    )


@node_app.command()
def cordon(node: NodeArgument, output: OutputOption = Output.TABLE) -> None:
    """Place no new tasks there. Those that run stay."""
    _change(node, NodeChange(cordoned=True), "cordoned", output)


@node_app.command()
def uncordon(node: NodeArgument, output: OutputOption = Output.TABLE) -> None:
    """Place tasks there again. Ends a drain."""
    _change(node, NodeChange(cordoned=False), "uncordoned", output)


@node_app.command()
def drain(
    node: NodeArgument,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Like 90s, 5m or 1h: then what is left is stopped, whatever that costs. 0 at once."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--detach", help="Wait until nothing is left there, or return.")] = True,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Seconds to wait; the drain itself goes on.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Cordon a node and let everything leave it, under the services' `max_unavailable`. Ends by `node uncordon`."""
    client = Client.from_environment()
    deadline_s = None if deadline is None else duration_s(deadline)
    request = DrainRequest(deadline_s=deadline_s)
    reply = client.request("PUT", path_to("nodes", node, "drain"), request).parse(WriteReply)
    if not wait:
        show_json(reply) if output is Output.JSON else print(f"{node}: drains, revision {reply.revision}")
        return
    if timeout is None and deadline_s is not None:
        timeout = deadline_s + DEADLINE_PATIENCE_S
    started = time.monotonic()
    _wait_drained(client, node, reply.revision, timeout, quiet=output is Output.JSON)
    waited_s = time.monotonic() - started
    show_json(reply) if output is Output.JSON else print(f"{node}: drained after {waited_s:.1f} s")


@node_app.command()
def label(
    node: NodeArgument,
    labels: Annotated[list[str], typer.Argument(metavar="KEY=VALUE|KEY-…", help="To set; with a '-' to remove.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Set labels on a node or remove them. They win over those in its own configuration."""
    wanted: dict[str, str | None] = {}
    for word in labels:
        key, equals, value = word.partition("=")
        if equals:
            wanted[key] = value
        elif word.endswith("-"):
            wanted[word[:-1]] = None
        else:
            raise BadWord(word, "KEY=VALUE to set a label, KEY- to remove it")
    _change(node, NodeChange(labels=wanted), "labelled", output)


@node_app.command()
def taint(
    node: NodeArgument,
    taints: Annotated[
        list[str],
        typer.Argument(metavar="KEY[=VALUE]:EFFECT|KEY[:EFFECT]-…", help="no-schedule, no-execute; '-' removes."),
    ],
    output: OutputOption = Output.TABLE,
) -> None:
    """Keep away what does not tolerate it: new tasks (no-schedule), or those that run there, too (no-execute)."""
    wanted = NodeChange()
    for word in taints:
        if word.endswith("-"):
            key, _, effect = word[:-1].partition(":")
            parsed = UnwantedTaintView.model_validate({"key": key, "effect": _effect(word, effect) if effect else None})
            wanted.untaint.append(parsed)
        else:
            named, _, effect = word.partition(":")
            key, _, value = named.partition("=")
            wanted.taints.append(
                TaintView.model_validate({"key": key, "value": value, "effect": _effect(word, effect)})
            )
    _change(node, wanted, "tainted" if wanted.taints else "untainted", output)


@node_app.command()
def forget(node: NodeArgument, output: OutputOption = Output.TABLE) -> None:
    """Strike a node off whose host never returns. It must be down, and nothing assigned to it."""
    client = Client.from_environment()
    reply = client.request_once("DELETE", path_to("nodes", node), shown_by="swarmlet nodes").parse(WriteReply)
    show_json(reply) if output is Output.JSON else print(f"{node}: forgotten, revision {reply.revision}")


def duration_s(word: str) -> float:
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(s|m|h)?", word)
    if found is None:
        raise BadWord(word, "a duration like 90s, 5m or 1h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2] or "s"]


def _effect(word: str, effect: str) -> str:
    plain = effect.lower().replace("-", "")
    if plain not in EFFECTS:
        raise BadWord(word, "KEY:no-schedule or KEY=VALUE:no-execute, and KEY- to remove it")
    return EFFECTS[plain]


def _change(node: str, change: Schema, what: str, output: Output) -> None:
    reply = Client.from_environment().request("PATCH", path_to("nodes", node), change).parse(WriteReply)
    show_json(reply) if output is Output.JSON else print(f"{node}: {what}, revision {reply.revision}")


def _wait_drained(client: Client, node: str, revision: int, timeout_s: float | None, quiet: bool) -> None:
    """Until nothing is left there, as the peer that answers knows it; each change of what is left is printed."""
    started, shown = time.monotonic(), ""
    while True:
        answer = client.request("GET", path_to("nodes", node))
        view, waited_s = answer.parse(NodeView), time.monotonic() - started
        if answer.revision >= revision:
            if view.drain is None:
                raise DrainEnded(node)
            if not view.drain.left:
                return
            line = f"left: {_left(view.drain)}"
            if line != shown and not quiet:
                print(f"{waited_s:6.1f} s  {line}", flush=True)
            shown = line
            if timeout_s is not None and waited_s > timeout_s:
                raise NotDrained(node, waited_s, view.drain)
        time.sleep(POLL_S)


def _left(drain: DrainView) -> str:
    reasons = {service: f" ({why})" for service, why in drain.waits_for.items()}
    return ", ".join(f"{service} {count}{reasons.get(service, '')}" for service, count in sorted(drain.left.items()))


def _scheduling(node: NodeView) -> str:
    if node.drain is not None:
        left = sum(node.drain.left.values())
        return f"draining ({left} left)" if left else "drained"
    return "cordoned" if node.cordoned else ""


def _taint_text(taint: TaintView) -> str:
    value = f"={taint.value}" if taint.value else ""
    return f"{taint.key}{value}:{taint.effect}"
