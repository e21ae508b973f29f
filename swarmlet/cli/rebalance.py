"""`swarmlet rebalance`: shows which tasks would be better off elsewhere, moves them, and waits until they are there."""

import sys
import time
from typing import Annotated

import typer

from swarmlet.api.rebalance_schema import MOVES_MAX, MoveView, RebalanceReply, RebalanceRequest
from swarmlet.api.schema import Listing, TaskView
from swarmlet.cli.client import Client
from swarmlet.cli.output import Output, OutputOption, show_json, show_table
from swarmlet.errors import SwarmletError

POLL_S = 0.3


class NotMoved(SwarmletError):
    def __init__(self, tasks: list[str], waited_s: float) -> None:
        super().__init__(
            f"not moved after {waited_s:.0f} s: {', '.join(tasks)}; they go on serving where they are, and "
            "'swarmlet services' says what they wait for"
        )
        self.tasks = tasks


def rebalance(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be moved.")] = False,
    moves: Annotated[int, typer.Option("--moves", min=1, max=MOVES_MAX, help="Move no more than so many.")] = MOVES_MAX,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once it is committed; don't wait.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for the outcome.")] = 120.0,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a lopsided cluster even again, in few moves: each task stops when its successor serves elsewhere."""
    client = Client.from_environment()
    request = RebalanceRequest(dry_run=dry_run, moves_max=moves)
    if dry_run:
        answer = client.request("POST", "/v1/rebalance", request)
    else:
        answer = client.request_once("POST", "/v1/rebalance", request, shown_by="swarmlet rebalance --dry-run")
    reply = answer.parse(RebalanceReply)
    if output is Output.JSON:
        show_json(reply)
    elif not reply.moves:
        print("the cluster is even: nothing to move")
    else:
        _show(reply.moves)
    if reply.moves and not dry_run and not detach:
        _wait(client, [move.task for move in reply.moves], timeout)
        print(f"{len(reply.moves)} moved", file=sys.stderr)


def _show(moves: list[MoveView]) -> None:
    show_table(
        moves,
        [
            ("TASK", lambda move: move.task),
            ("SERVICE", lambda move: move.service),
            ("FROM", lambda move: move.source),
            ("TO", lambda move: move.target),
            ("WHY", lambda move: move.why),
        ],
        Output.TABLE,
    )


def _wait(client: Client, tasks: list[str], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        running = {task.id for task in client.get("/v1/tasks", Listing[TaskView]).items}
        left = [task for task in tasks if task in running]
        if not left:
            return
        if time.monotonic() >= deadline:
            raise NotMoved(left, timeout_s)
        time.sleep(POLL_S)
