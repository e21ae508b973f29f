"""What a node loop refuses, with the data that the API and the command line phrase it by."""

from swarmlet.errors import SwarmletError
from swarmlet.model.ids import TaskId


class NodeError(SwarmletError):
    pass


class UnknownTask(NodeError):
    def __init__(self, task: TaskId) -> None:
        super().__init__(f"task {task} is not on this node")
        self.task = task


class NoContainerYet(NodeError):
    """The task is here, but there is nothing to read logs from."""

    def __init__(self, task: TaskId, message: str) -> None:
        super().__init__(f"task {task} has no container yet" + (f": {message}" if message else ""))
        self.task = task
        self.message = message
