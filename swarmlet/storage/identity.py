"""A node's data directory: who it is, and what it must remember from one start to the next.

Rules:
- A node is an id made at its first start and kept in `identity.json`; never an address, never its name.
- One agent at a time: the directory itself is locked (flock), which ends with the process, however it ends.
- A directory of another cluster or node is refused and left as it is.
- `peers.json` is a hint and may be lost; `grant.json` is a promise and `generation.json` a count that must never go
  back, so neither may.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any

import structlog

from swarmlet.model.ids import NodeId, new_node_id
from swarmlet.model.observed import Address
from swarmlet.storage.atomic_file import sync_directory, write_atomically
from swarmlet.storage.errors import DirectoryDamaged, DirectoryInUse, DirectoryOwned, DirectoryUnusable

IDENTITY_FILE, PEERS_FILE, GRANT_FILE = "identity.json", "peers.json", "grant.json"
GENERATION_FILE = "generation.json"
FORMAT = 1
PEERS_MAX = 10_000
"""More than a cluster has; only a few of them have to answer at the next start."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Identity:
    node_id: NodeId
    name: str
    cluster: str


def read_identity(path: Path) -> Identity | None:
    """Who a data directory belongs to; None when it is no node's yet. Writes nothing; raises `DirectoryDamaged`."""
    file = path / IDENTITY_FILE
    plain = _read_object(file)
    if plain is None:
        return None
    fields = [plain.get(name) for name in ("node_id", "name", "cluster")]
    if plain.get("format") != FORMAT or not all(isinstance(field, str) and field for field in fields):
        raise DirectoryDamaged(file, f"it is no identity of format {FORMAT}")
    node_id, name, cluster = (str(field) for field in fields)
    return Identity(NodeId(node_id), name, cluster)


def check_owner(path: Path, cluster: str, node_name: str) -> Identity | None:
    """Raises `DirectoryOwned` for a directory of another cluster or node. Writes nothing."""
    identity = read_identity(path)
    if identity is not None and identity.cluster != cluster:
        raise DirectoryOwned(path, "cluster", identity.cluster, cluster)
    if identity is not None and identity.name != node_name:
        raise DirectoryOwned(path, "name", identity.name, node_name)
    return identity


class DataDirectory:
    """An agent's own, for as long as it is open. Made by `open`; a context manager."""

    def __init__(self, path: Path, identity: Identity, lock: int) -> None:
        self.path = path
        self.node_id = identity.node_id
        self.name = identity.name
        self.cluster = identity.cluster
        self.raft_log = path / "raft.db"
        self._lock = lock
        self._saved_peers: dict[NodeId, Address] | None = None

    @classmethod
    def open(cls, path: Path, cluster: str, node_name: str) -> "DataDirectory":
        """Make the directory (0700) if need be, lock it, and find or make the node's identity."""
        try:
            check_owner(path, cluster, node_name)
            _make_directory(path)
            lock = _lock(path)
        except OSError as error:
            raise DirectoryUnusable(path, error.strerror or str(error)) from error
        try:
            identity = check_owner(path, cluster, node_name) or _found(path, cluster, node_name)
        except OSError as error:
            os.close(lock)
            raise DirectoryUnusable(path, error.strerror or str(error)) from error
        except BaseException:
            os.close(lock)
            raise
        return cls(path, identity, lock)

    def close(self) -> None:
        """Lets another agent open it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> "DataDirectory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Peers

    def load_peers(self) -> dict[NodeId, Address]:
        """Where the peers were when they were last saved. A file that can't be read is worth a warning, no more."""
        file = self.path / PEERS_FILE
        try:
            plain = _read_object(file) or {}
            peers = {NodeId(node): Address(str(host), int(port)) for node, (host, port) in plain.items()}
        except (DirectoryDamaged, OSError, TypeError, ValueError) as error:
            log.warning("peers_file_ignored", file=str(file), error=str(error))
            return {}
        return peers

    def save_peers(self, peers: Mapping[NodeId, Address]) -> None:
        """Replace what is saved; does nothing when nothing changed. Raises `DirectoryUnusable`."""
        kept = dict(sorted(peers.items())[:PEERS_MAX])
        if kept != self._saved_peers:
            self._write(PEERS_FILE, {node: list(address) for node, address in kept.items()})
            self._saved_peers = kept

    # The bootstrap grant

    def grant(self, node_id: NodeId) -> bool:
        """Promise a node that it may form the cluster; False when another one has this node's promise already.

        The promise is on disk before it is given. Raises `DirectoryUnusable` and `DirectoryDamaged`.
        """
        file = self.path / GRANT_FILE
        plain = _read_object(file)
        if plain is None:
            self._write(GRANT_FILE, {"granted_to": node_id})
            return True
        if not isinstance(plain.get("granted_to"), str):
            raise DirectoryDamaged(file, "it holds no grant")
        return bool(plain["granted_to"] == node_id)

    # Starts

    def next_generation(self) -> int:
        """Which start of this node it is, from 1; each call counts as one, and is on disk before it is answered.

        Raises `DirectoryUnusable` and `DirectoryDamaged`.
        """
        file = self.path / GENERATION_FILE
        plain = _read_object(file)
        last = 0 if plain is None else plain.get("generation")
        if not isinstance(last, int):
            raise DirectoryDamaged(file, "it holds no generation")
        self._write(GENERATION_FILE, {"generation": last + 1})
        return last + 1

    def _write(self, name: str, plain: Mapping[str, Any]) -> None:
        try:
            write_atomically(self.path / name, json.dumps(plain, indent=2).encode())
        except OSError as error:
            raise DirectoryUnusable(self.path, f"{name} can't be written: {error.strerror or error}") from error


def _make_directory(path: Path) -> None:
    """Only a directory that is made here gets its mode here: who made it wider before had a reason."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in missing:
        sync_directory(folder.parent)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DirectoryInUse(path) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _found(path: Path, cluster: str, node_name: str) -> Identity:
    """A node's first start: what it will be called from now on."""
    identity = Identity(new_node_id(SystemRandom()), node_name, cluster)
    write_atomically(path / IDENTITY_FILE, json.dumps({"format": FORMAT, **asdict(identity)}, indent=2).encode())
    return identity


def _read_object(file: Path) -> dict[str, Any] | None:
    """A file's JSON object; None when there is no file. Raises `OSError` and `DirectoryDamaged`."""
    try:
        plain = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DirectoryDamaged(file, f"it is no JSON ({error})") from error
    if not isinstance(plain, dict):
        raise DirectoryDamaged(file, "it is no JSON object")
    return plain
