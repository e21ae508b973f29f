"""`swarmlet top`: what tasks use, the busiest first."""

import time
from typing import Annotated

import typer

from swarmlet.api.schema import Listing, TaskView
from swarmlet.cli.client import Client
from swarmlet.cli.output import Output, OutputOption, cpus, megabytes, show_table

EVERY_S = 2.0
CLEAR = "\x1b[H\x1b[2J"


def top(
    service: Annotated[str | None, typer.Argument(help="Only this service's (STACK.SERVICE) or this stack's.")] = None,
    node: Annotated[str | None, typer.Option(help="Only those on this node.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew every 2 s, until interrupted.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """What running tasks use of processors and memory, the busiest first."""
    client = Client.from_environment()
    while True:
        tasks = _tasks(client, service, node)
        if watch:
            print(CLEAR, end="")
        show_table(
            tasks,
            [
                ("CPU", lambda task: cpus(task.cpus_used)),
                ("MEMORY", lambda task: megabytes(task.memory_used_bytes)),
                ("SERVICE", lambda task: f"{task.service}.{task.slot}"),
                ("NODE", lambda task: task.node),
                ("TASK", lambda task: task.id),
            ],
            output,
        )
        if not watch:
            return
        time.sleep(EVERY_S)


def _tasks(client: Client, service: str | None, node: str | None) -> list[TaskView]:
    is_service = service is not None and "." in service
    listing = client.get(
        "/v1/tasks",
        Listing[TaskView],
        service=service if is_service else None,
        stack=None if is_service else service,
        node=node,
    )
    measured = [task for task in listing.items if task.cpus_used is not None]
    return sorted(measured, key=lambda task: (-(task.cpus_used or 0), -(task.memory_used_bytes or 0), task.id))
