"""Makes an empty data directory the first node of a new cluster that holds a backup's state.

The nodes of the cluster that the backup is of are forgotten: they are no nodes of this one, and what they ran is
placed anew as soon as this one leads.
"""

from pathlib import Path

from swarmlet.config import Config
from swarmlet.model.objects import NODES
from swarmlet.model.pieces import joined
from swarmlet.model.transaction import Delete, Transaction
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
        store = Store.restore(data)
    except UnreadableSnapshot as error:
        raise BadBackup(str(error)) from error
    if store.revision != head.revision:
        raise BadBackup(f"its head says revision {head.revision}, its state is of {store.revision}")
    forgotten = tuple(Delete(found.key) for found in store.scan(NODES))
    store.apply(head.index + 1, Transaction((), forgotten, reason="restored from a backup"))
    with DataDirectory.open(config.data_dir, config.cluster, config.name) as directory:
        finish_setting_aside(directory.raft_log)
        with RaftStorage.open(directory.raft_log) as storage:
            storage.load()
            if not storage.is_empty():
                raise HasState(config.data_dir)
            membership = Membership(voters=frozenset({directory.node_id}))
            snapshot = Snapshot(head.index + 1, head.term, membership, store.snapshot())
            storage.initialize(RestoredState(HardState(head.term, None), snapshot, ()), new_lineage())
    return head
