"""What an agent keeps on disk: the Raft log and snapshot, its identity, the peers it knew, its bootstrap grant.

A write counts when it is synced; a file is replaced as a whole or not at all; what is read back is checked.
"""

from swarmlet.storage.aside import NewLog, finish_setting_aside, set_log_aside
from swarmlet.storage.errors import (
    DamagedLog,
    DirectoryDamaged,
    DirectoryInUse,
    DirectoryOwned,
    DirectoryUnusable,
    NewerFormat,
    StorageFailed,
    StorageFull,
    StorageInUse,
    StorageOverloaded,
)
from swarmlet.storage.identity import DataDirectory, Identity, check_owner, read_identity
from swarmlet.storage.lineage import NO_LINEAGE, Lineage, Relation, new_lineage
from swarmlet.storage.log_database import last_known_progress
from swarmlet.storage.raft_storage import RaftStorage

__all__ = [
    "NO_LINEAGE",
    "DamagedLog",
    "DataDirectory",
    "DirectoryDamaged",
    "DirectoryInUse",
    "DirectoryOwned",
    "DirectoryUnusable",
    "Identity",
    "Lineage",
    "NewLog",
    "NewerFormat",
    "RaftStorage",
    "Relation",
    "StorageFailed",
    "StorageFull",
    "StorageInUse",
    "StorageOverloaded",
    "check_owner",
    "finish_setting_aside",
    "last_known_progress",
    "new_lineage",
    "read_identity",
    "set_log_aside",
]
