"""What may go wrong with an agent's disk, each said in one line with what to do about it."""

from pathlib import Path

from swarmlet.errors import SwarmletError

RECOVER = (
    "run `swarmlet recover --discard --config FILE` on this host: it sets the log aside, and the node gets it anew "
    "from its peers"
)
REJOIN = (
    "move the whole data directory away and start the agent with `join`: "
    "it becomes a new node; remove the old one from the cluster"
)


class DamagedLog(SwarmletError):
    """A record inside the log, not at its end, is not what was written. Cutting it would lose what was agreed."""

    def __init__(self, path: Path, record: str, problem: str) -> None:
        super().__init__(f"{path}: {record} {problem}; the disk may be failing. To go on, {RECOVER}")
        self.path = path
        self.record = record
        self.problem = problem


class NewerFormat(SwarmletError):
    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path} was written by a newer version (format {found}, this one knows up to {known}): "
            "run that version or a later one"
        )
        self.path = path
        self.found = found
        self.known = known


class StorageInUse(SwarmletError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is open in another process: end that one first")
        self.path = path


class StorageFailed(SwarmletError):
    """A write did not reach the disk. Nothing more is written until the storage is opened and loaded anew."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} can't be written: {problem}")
        self.path = path
        self.problem = problem


class StorageFull(StorageFailed):
    """No space is left on the disk, or the log has reached its own limit."""


class StorageOverloaded(StorageFailed):
    """The disk is so far behind that the queue of writes reached its limit."""


class DirectoryInUse(SwarmletError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"data directory {path} is in use by another agent: end it first, or give this one its own")
        self.path = path


class DirectoryOwned(SwarmletError):
    """The data directory belongs to another node or to another cluster. Nothing in it was touched."""

    def __init__(self, path: Path, what: str, owner: str, wanted: str) -> None:
        super().__init__(
            f"data directory {path} belongs to {what} {owner!r}, not to {wanted!r}: "
            f"set {what} back to {owner!r} or give this node another data directory"
        )
        self.path = path
        self.what = what
        self.owner = owner
        self.wanted = wanted


class DirectoryDamaged(SwarmletError):
    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} can't be read: {problem}. Restore it, or {REJOIN}")
        self.path = path
        self.problem = problem


class DirectoryUnusable(SwarmletError):
    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"data directory {path} can't be used: {problem}")
        self.path = path
        self.problem = problem
