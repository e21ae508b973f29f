"""Commands that watch: logs of one or many tasks, the event stream, the end of a stack."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

from swarmlet.api.schema import EVENTS_TYPE, LOG_LINES_TYPE, EventView, Listing, LogLineView, TaskView
from swarmlet.cli.addresses import NoPeer
from swarmlet.cli.client import ApiError, BrokenOff, Client, NotAPeer, parsed, path_to
from swarmlet.errors import SwarmletError

POLL_S = 0.2
RECONNECT_S = 1.0
LINES_WAITING_MAX = 10_000
"""Log lines read ahead of the terminal, over all tasks; the readers wait beyond that."""
STREAM_TIMEOUT_S = 60.0
"""Longer than the server's keep-alive: silence beyond it is a dead connection."""


class StillThere(SwarmletError):
    def __init__(self, stack: str, tasks: int, timeout_s: float) -> None:
        super().__init__(
            f"{stack}: {tasks} tasks still stop after {timeout_s:.0f} s; see 'swarmlet tasks --all {stack}'"
        )


class NoSuchTasks(SwarmletError):
    def __init__(self, service: str) -> None:
        super().__init__(f"no task of '{service}' is known; see 'swarmlet services' and 'swarmlet tasks --all'")


def wait_gone(client: Client, stack: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while left := _tasks_left(client, stack):
        if time.monotonic() > deadline:
            raise StillThere(stack, len(left), timeout_s)
        time.sleep(POLL_S)


def _tasks_left(client: Client, stack: str) -> list[TaskView]:
    try:
        return client.get("/v1/tasks", Listing[TaskView], stack=stack, all=1).items
    except ApiError as error:
        if error.problem.status == HTTPStatus.NOT_FOUND:
            return []
        raise


def follow_events(client: Client, since: int | None, say: Callable[[EventView], None]) -> None:
    """For ever; after a lost connection it goes on behind the last revision seen, through any peer."""
    last = since
    while True:
        try:
            for line in client.lines("/v1/events", EVENTS_TYPE, STREAM_TIMEOUT_S, **{"from": last}):
                if line.startswith("id: "):
                    # A transaction's last change has it; one that was cut off comes again as a whole.
                    last = _revision(line.removeprefix("id: "))
                elif line.startswith("data: {"):
                    say(parsed(EventView, line.removeprefix("data: ")))
        except (NoPeer, BrokenOff):
            time.sleep(RECONNECT_S)


def _revision(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise NotAPeer(f"event id {text}") from error


def follow_logs(
    client: Client, target: str, follow: bool, tail: int | None, say: Callable[[LogLineView], None]
) -> None:
    if "." not in target:
        for line in _task_lines(client, target, follow, tail):
            say(line)
        return
    tasks = client.get("/v1/tasks", Listing[TaskView], service=target, all=1).items
    if not tasks:
        raise NoSuchTasks(target)
    follow_tasks(client, [task.id for task in tasks], follow, tail, say)


def _task_lines(client: Client, task: str, follow: bool, tail: int | None) -> Iterator[LogLineView]:
    timeout_s = None if follow else STREAM_TIMEOUT_S
    path = path_to("tasks", task, "logs")
    for line in client.lines(path, LOG_LINES_TYPE, timeout_s, tail=tail, follow=1 if follow else None):
        yield parsed(LogLineView, line)


def follow_tasks(
    client: Client, tasks: list[str], follow: bool, tail: int | None, say: Callable[[LogLineView], None]
) -> None:
    """Read all tasks side by side, print in the order of arrival; a task whose log can't be had is named at the end."""
    arriving: queue.Queue[LogLineView | SwarmletError | None] = queue.Queue(LINES_WAITING_MAX)

    def read(task: str) -> None:
        try:
            for line in _task_lines(client, task, follow, tail):
                arriving.put(line)
        except SwarmletError as error:
            arriving.put(error)
        finally:
            arriving.put(None)

    for task in tasks:
        threading.Thread(target=read, args=(task,), daemon=True).start()
    reading, failure = len(tasks), None
    while reading:
        match arriving.get():
            case None:
                reading -= 1
            case LogLineView() as line:
                say(line)
            case error:
                failure = error
    if failure is not None:
        raise SwarmletError(f"not all logs could be read: {failure}")
