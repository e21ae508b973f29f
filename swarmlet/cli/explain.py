"""`swarmlet explain`: why things are as they are. A service: why it has as many tasks as it has."""

import time
from typing import Annotated

import typer

from swarmlet.api.scaling_schema import ScalingView
from swarmlet.api.schema import ServiceView
from swarmlet.cli.client import Client
from swarmlet.cli.output import Output, OutputOption, age, show_json

CHANGES_SHOWN_MAX = 5


def explain(
    target: Annotated[str, typer.Argument(metavar="STACK.SERVICE", help="A service.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Why a service was scaled, or was not: its metrics, what holds it, and the last changes."""
    _explain_service(Client.from_environment(), target, output)


def _explain_service(client: Client, service: str, output: Output) -> None:
    view = client.get(f"/v1/services/{service}/scaling", ScalingView)
    if output is Output.JSON:
        show_json(view)
        return
    if not view.autoscaled:
        declared = client.get(f"/v1/services/{service}", ServiceView)
        print(f"{view.service}: {declared.wanted} tasks as declared ({declared.mode}); it is not autoscaled")
        if declared.problem:
            print(f"problem   {declared.problem}")
        return
    for line in scaling_lines(view):
        print(line)


def scaling_lines(view: ScalingView) -> list[str]:
    tasks = "1 task" if view.replicas == 1 else f"{view.replicas} tasks"
    lines = [f"{view.service}: {tasks}, between {view.replicas_min} and {view.replicas_max}"]
    lines += [f"metric    {proposal.why}" for proposal in view.proposals]
    lines += [f"but       {reason}" for reason in view.reasons]
    outcome = f"now       {view.recommended} recommended, "
    if view.wanted != view.replicas:
        outcome += f"goes from {view.replicas} to {view.wanted}"
    else:
        outcome += f"stays at {view.replicas}"
        if view.changes_at is not None and view.recommended != view.replicas:
            outcome += f", at least for the next {max(0.0, view.changes_at - time.time()):.0f} s"
    lines.append(outcome)
    for change in view.changes[:CHANGES_SHOWN_MAX]:
        lines.append(f"changed   {age(change.at)} ago from {change.before} to {change.after}: {change.why}")
    return lines
