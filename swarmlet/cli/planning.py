"""`swarmlet plan`: what a deploy would do, without doing it.

The exit status is 0 whatever the plan says, 1 where the deploy would be refused. With `--detailed-exitcode` it is 2
where the deploy would change something.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from swarmlet.api.plan_schema import PlanView, ServicePlanView, TaskPlanView
from swarmlet.cli.client import Client, path_to
from swarmlet.cli.compose_files import FilesOption, ProfilesOption, read_compose_files
from swarmlet.cli.output import Output, OutputOption, show_json, show_table
from swarmlet.model.compose import Unbuilt

CHANGES_STATUS = 2
UNSET = "(unset)"
MARKS = {"add": "+", "change": "~", "remove": "-", "unchanged": " "}


def plan(
    stack: Annotated[str, typer.Argument(metavar="STACK", help="The stack's name.")],
    compose: Annotated[Path | None, typer.Argument(metavar="[COMPOSE_FILE]", help="The Compose file.")] = None,
    files: FilesOption = None,
    profile: ProfilesOption = None,
    unbuilt: Annotated[
        Unbuilt, typer.Option("--unbuilt", help="Services with `build` and no `image`: are their images there?")
    ] = Unbuilt.REFUSE,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 where a deploy would change something.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what `deploy` with the same files would do: services, tasks, nodes, images, and what is in the way."""
    if (compose is None) == (not files):
        raise typer.BadParameter("give one Compose file after the stack's name, or one or several with -f")
    paths = [compose] if compose is not None else files or []
    request = read_compose_files(paths).request(profile or [], unbuilt)
    view = Client.from_environment().request("POST", path_to("stacks", stack, "plan"), request).parse(PlanView)
    if output is Output.JSON:
        show_json(view)
    else:
        for warning in view.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        show(view)
    if detailed_exitcode and view.changes:
        raise typer.Exit(CHANGES_STATUS)


def show(view: PlanView) -> None:
    show_table(
        view.services,
        [
            ("", lambda service: MARKS.get(service.action, "?")),
            ("SERVICE", lambda service: service.id),
            ("ACTION", lambda service: service.action),
            ("TASKS", _tasks_text),
            ("IMAGE", lambda service: service.image),
            ("WHERE", lambda service: _where(view.tasks, service)),
        ],
        Output.TABLE,
    )
    for line in (*_details(view), *_others(view), *_images(view)):
        print(line)
    print(_verdict(view))


def _tasks_text(service: ServicePlanView) -> str:
    if service.action == "add":
        return f"{service.tasks_after}/{service.wanted}"
    replaced = ", replaced" if service.replaces_tasks else ""
    short = f" of {service.wanted}" if service.tasks_after != service.wanted else ""
    return f"{service.tasks_before} -> {service.tasks_after}{short}{replaced}"


def _where(tasks: list[TaskPlanView], service: ServicePlanView) -> str:
    """`+node1 +2 node2 -node3`: what starts and what stops on each node."""
    starts: Counter[str] = Counter()
    stops: Counter[str] = Counter()
    for task in tasks:
        if task.service == service.id:
            (stops if task.action == "stop" else starts)[task.node] += 1
    words = [f"+{_count(number)}{node}" for node, number in sorted(starts.items())]
    return " ".join([*words, *(f"-{_count(number)}{node}" for node, number in sorted(stops.items()))])


def _count(number: int) -> str:
    return "" if number == 1 else f"{number} "


def _details(view: PlanView) -> Iterator[str]:
    for service in view.services:
        for each in service.fields:
            yield f"  {service.id}: {each.key}: {_value(each.before)} -> {_value(each.after)}"
        if service.problem:
            yield f"  {service.id}: problem: {service.problem}"
        for node, why in sorted(service.per_node.items()):
            yield f"    {node}: {why}"


def _value(text: str | None) -> str:
    return UNSET if text is None else text


def _others(view: PlanView) -> Iterator[str]:
    for task in view.elsewhere:
        what = f"stops ({task.reason})" if task.action == "stop" else "starts"
        yield f"  {task.service}.{task.slot} of another stack {what} on {task.node}"


def _images(view: PlanView) -> Iterator[str]:
    for each in view.images:
        hint = ""
        if each.unbuilt:
            hint = ": somebody has to build it"
        elif each.pull_policy == "never":
            hint = ": it is never pulled, so it has to be there"
        yield f"  image {each.image} for {', '.join(each.nodes)}{hint}"


def _verdict(view: PlanView) -> str:
    actions = Counter(service.action for service in view.services)
    if not view.changes:
        return f"{view.stack}: nothing to do"
    said = ", ".join(
        f"{actions[action]} to {action}" if action != "unchanged" else f"{actions[action]} unchanged"
        for action in MARKS
        if actions[action]
    )
    moves = Counter(task.action for task in view.tasks)
    tasks = ", ".join(
        f"{moves[action]} {word}"
        for action, word in (("create", "created"), ("replace", "replaced"), ("stop", "stopped"))
        if moves[action]
    )
    ending = "" if view.settled else "; it would not become as declared"
    return f"{view.stack}: services: {said}; tasks: {tasks or 'none'}{ending}"
