"""The tasks of one owner: whoever starts them waits for their end.

`asyncio.TaskGroup` ends all tasks when one fails; connections must not do that to each other. A `TaskScope`
logs a task's unexpected failure instead, and `close` cancels what still runs and waits for it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


class TaskScope:
    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """After `close` the task is cancelled before it begins: bytes may still arrive while connections end."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        if self._closed:
            task.cancel()
        return task

    async def close(self) -> None:
        self._closed = True
        # Cancelling may make a task start its clean-up only; each is waited for, whatever it raises.
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(set(self._tasks))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", scope=self._name, exc_info=error)
