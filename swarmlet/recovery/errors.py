"""Why a recovery was not begun. Nothing was changed when one of these is raised."""

from pathlib import Path

from swarmlet.errors import SwarmletError
from swarmlet.storage.errors import REJOIN


class HasState(SwarmletError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"data directory {path} holds a cluster's state already: a backup is restored into an empty one; give this "
            "node another `data_dir`, or move this one away"
        )
        self.path = path


class OtherCluster(SwarmletError):
    def __init__(self, found: str, configured: str) -> None:
        super().__init__(
            f"the backup is of cluster '{found}', the configuration is of '{configured}': set `cluster` to '{found}', "
            "or give --other-cluster to restore it under the configured name"
        )
        self.found = found
        self.configured = configured


class NoState(SwarmletError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"data directory {path} holds no cluster's state, so there is nothing to go on with: run this on a node "
            "that was part of the cluster, or restore a backup"
        )
        self.path = path


class NothingKnown(SwarmletError):
    """Neither the log nor its mark says what this node may have voted for and acknowledged."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} and its mark are both unreadable, so nobody knows what this node has promised, and it can't come "
            f"back under its id: {REJOIN}"
        )
        self.path = path
