"""Makes an empty data directory the first node of a new cluster that holds a backup's state.

What people declared comes back: stacks, services, and objects of their own. Nodes and the tasks bound to them are left
out: none of those nodes belongs to the new cluster, and its leader would first wait for them, as for hosts that were
lost. Without them it places every task anew, at once.
"""

from pathlib import Path

from swarmlet.config import Config
from swarmlet.model.objects import NODES, TASKS
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
    try:
        store = Store.restore(joined(backup.pieces))
    except UnreadableSnapshot as error:
        raise BadBackup(str(error)) from error
    if store.revision != head.revision:
        raise BadBackup(f"its head says revision {head.revision}, its state is of {store.revision}")
    index = head.index + 1
    of_old_nodes = (found.key for prefix in (NODES, TASKS) for found in store.scan(prefix))
    store.apply(index, Transaction((), tuple(map(Delete, of_old_nodes)), reason="restored from a backup"))
    with DataDirectory.open(config.data_dir, config.cluster, config.name) as directory:
        finish_setting_aside(directory.raft_log)
        with RaftStorage.open(directory.raft_log) as storage:
            storage.load()
            if not storage.is_empty():
                raise HasState(config.data_dir)
            membership = Membership(voters=frozenset({directory.node_id}))
            snapshot = Snapshot(index, head.term, membership, joined(store.view().pieces()))
            storage.initialize(RestoredState(HardState(head.term, None), snapshot, ()), new_lineage())
    return head
