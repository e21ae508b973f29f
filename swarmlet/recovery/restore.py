"""Makes an empty data directory the first node of a new cluster that holds a backup's state."""

from pathlib import Path

from swarmlet.config import Config
from swarmlet.model.pieces import joined
from swarmlet.raft import HardState, Membership, RestoredState, Snapshot
from swarmlet.recovery.backup_file import BackupHead, BadBackup, read_backup
from swarmlet.recovery.errors import HasState, OtherCluster
from swarmlet.storage import DataDirectory, RaftStorage, finish_setting_aside, new_lineage
from swarmlet.store import Store, UnreadableSnapshot


def restore(config: Config, file: Path, other_cluster: bool = False) -> BackupHead:
    """Raises `BadBackup`, `OtherCluster`, `HasState` and what opening a data directory raises."""
    backup = read_backup(file)
    head = backup.head
    if head.cluster != config.cluster and not other_cluster:
        raise OtherCluster(head.cluster, config.cluster)
    data = joined(backup.pieces)
    try:
        revision = Store.restore(data).revision
    except UnreadableSnapshot as error:
        raise BadBackup(str(error)) from error
    if revision != head.revision:
        raise BadBackup(f"its head says revision {head.revision}, its state is of {revision}")
    with DataDirectory.open(config.data_dir, config.cluster, config.name) as directory:
        finish_setting_aside(directory.raft_log)
        with RaftStorage.open(directory.raft_log) as storage:
            storage.load()
            if not storage.is_empty():
                raise HasState(config.data_dir)
            membership = Membership(voters=frozenset({directory.node_id}))
            snapshot = Snapshot(head.index, head.term, membership, data)
            storage.initialize(RestoredState(HardState(head.term, None), snapshot, ()), new_lineage())
    return head
