"""`swarmlet explain`: why things are as they are.

A service: why it has as many tasks as it has, and where one more would go. A task: why it is where it is.
"""

import time
from typing import Annotated

import typer

from swarmlet.api.explain_schema import PlacementExplanation
from swarmlet.api.scaling_schema import ScalingView
from swarmlet.api.schema import ServiceView
from swarmlet.cli.client import Client, path_to
from swarmlet.cli.explain_placement import placement_lines
from swarmlet.cli.output import Output, OutputOption, age, show_json

CHANGES_SHOWN_MAX = 5


def explain(
    target: Annotated[str, typer.Argument(metavar="TASK|STACK.SERVICE", help="A task's id, or a service.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Why a task is where it is, rule by rule; why a service was scaled or not, and where its next task would go."""
    client = Client.from_environment()
    if "." in target:
        _explain_service(client, target, output)
        return
    view = client.get(path_to("explain", "tasks", target), PlacementExplanation)
    if output is Output.JSON:
        show_json(view)
        return
    for line in placement_lines(view):
        print(line)


class ServiceExplanation(ScalingView):
    placement: PlacementExplanation
    """Of one more task."""


def _explain_service(client: Client, service: str, output: Output) -> None:
    view = client.get(path_to("services", service, "scaling"), ScalingView)
    placement = client.get(path_to("explain", "services", service), PlacementExplanation)
    if output is Output.JSON:
        show_json(ServiceExplanation(**view.model_dump(), placement=placement))
        return
    _say_scaling(client, service, view)
    for line in placement_lines(placement):
        print(line)


def _say_scaling(client: Client, service: str, view: ScalingView) -> None:
    if not view.autoscaled:
        declared = client.get(path_to("services", service), ServiceView)
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
