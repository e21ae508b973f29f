"""The keys that a cluster accepts at one moment: the first one seals and signs, all of them are accepted.

Rules:
- A ring is a value. Each change makes one with a higher version; of two rings the higher version is the later one
  (of two with the same version, that were made at the same time, the one whose key ids compare higher).
- A new key comes to the end of the ring, is made primary when every node has it, and the old one is removed when
  every node seals with the new one. Each step is safe with nodes that have not taken it yet.
- Its file has a line for each key, the primary first; a file with a key alone is a ring of version 0. It is replaced
  as a whole (mode 0600), so that after a crash there is the old ring or the new one.

Decision record 0037.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import msgpack

from swarmlet.errors import SwarmletError
from swarmlet.security.keys import (
    ClusterKey,
    KeyFileError,
    KeyFileUnreadable,
    KeyId,
    KeyMalformed,
    generate_key,
    read_private,
)
from swarmlet.storage.atomic_file import sync_directory, write_atomically

KEYS_MAX = 4
"""A foreign datagram is tried with each of them. A rotation needs two."""
VERSION_MAX = (1 << 63) - 1
VERSION_PREFIX = "version "
HEADER = "# The cluster's keys: the first one seals, all are accepted. Changed by `swarmlet keyring`.\n"


class RingRefused(SwarmletError):
    """A change that the ring does not allow; it stays as it is."""


class UnknownKey(RingRefused):
    def __init__(self, key: str, known: tuple[KeyId, ...]) -> None:
        super().__init__(f"no key has the id '{key}': the ring has {', '.join(known)}")
        self.key = key


class RingMalformed(SwarmletError):
    """What another node sent is no ring."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    keys: tuple[ClusterKey, ...]
    version: int = 0

    def __post_init__(self) -> None:
        assert 1 <= len(self.keys) <= KEYS_MAX, "a ring has one key at least"

    @property
    def primary(self) -> ClusterKey:
        return self.keys[0]

    @property
    def ids(self) -> tuple[KeyId, ...]:
        return tuple(key.id for key in self.keys)

    def supersedes(self, other: "KeyRing") -> bool:
        return (self.version, self.ids) > (other.version, other.ids)

    # Changes

    def with_key(self, key: ClusterKey) -> "KeyRing":
        """Raises `RingRefused` when it is full."""
        if key in self.keys:
            return self
        if len(self.keys) >= KEYS_MAX:
            raise RingRefused(f"the ring has {KEYS_MAX} keys already: remove one that is no longer used")
        return KeyRing((*self.keys, key), self.version + 1)

    def with_primary(self, key_id: str) -> "KeyRing":
        chosen = self._find(key_id)
        if chosen == self.primary:
            return self
        return KeyRing((chosen, *(key for key in self.keys if key != chosen)), self.version + 1)

    def without(self, key_id: str) -> "KeyRing":
        chosen = self._find(key_id)
        if chosen == self.primary:
            raise RingRefused(f"key {key_id} is the one that seals: use another one first")
        return KeyRing(tuple(key for key in self.keys if key != chosen), self.version + 1)

    def _find(self, key_id: str) -> ClusterKey:
        for key in self.keys:
            if key.id == key_id:
                return key
        raise UnknownKey(key_id, self.ids)

    # As bytes for other members, as text for the file

    def pack(self) -> bytes:
        packed: bytes = msgpack.packb([self.version, [key.reveal() for key in self.keys]])
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> "KeyRing":
        """Raises `RingMalformed`."""
        try:
            version, secrets = msgpack.unpackb(packed)
            if not (type(version) is int and 0 <= version <= VERSION_MAX and type(secrets) is list):
                raise RingMalformed("no ring: a version and its keys")
            if not all(type(secret) is bytes for secret in secrets):
                raise RingMalformed("no ring: its keys are bytes")
            return cls(_distinct([ClusterKey(secret) for secret in secrets]), version)
        except (ValueError, TypeError, msgpack.UnpackException, KeyMalformed) as error:
            # The cause may quote key material.
            raise RingMalformed(f"no ring: {type(error).__name__}") from None

    def text(self) -> str:
        return f"{HEADER}{VERSION_PREFIX}{self.version}\n" + "".join(f"{key.text()}\n" for key in self.keys)

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Raises `KeyMalformed`."""
        lines = [line.strip() for line in text.splitlines()]
        words = [line for line in lines if line and not line.startswith("#")]
        version = 0
        if words and words[0].startswith(VERSION_PREFIX):
            number = words.pop(0).removeprefix(VERSION_PREFIX).strip()
            if not (number.isascii() and number.isdigit() and int(number) <= VERSION_MAX):
                raise KeyMalformed(f"'{VERSION_PREFIX}{number[:20]}': a version is a number")
            version = int(number)
        return cls(_distinct([ClusterKey.parse(word) for word in words]), version)


def _distinct(keys: list[ClusterKey]) -> tuple[ClusterKey, ...]:
    if not 1 <= len(keys) <= KEYS_MAX:
        raise KeyMalformed(f"a ring has 1 to {KEYS_MAX} keys, this one has {len(keys)}")
    if len(set(keys)) < len(keys):
        raise KeyMalformed("a key is in it twice")
    return tuple(keys)


def load_ring(path: Path) -> KeyRing:
    """The ring in a file of mode 0600 or stricter. Raises `KeyFileError` that names the file and what to do."""
    try:
        return KeyRing.parse(read_private(path))
    except KeyMalformed as error:
        raise KeyFileError(path, str(error)) from error


def save_ring(path: Path, ring: KeyRing) -> None:
    """Replace the file's ring, durably. Raises `KeyFileError`; then the old one is still there.

    Agents of one host may share a file (and then its writing): each wants the same content.
    """
    try:
        # A link stays a link: what it leads to is replaced.
        write_atomically(path.resolve(), ring.text().encode())
    except OSError as error:
        if not _holds(path, ring):
            raise KeyFileError(path, f"can't be replaced: {error.strerror or error}") from error


def _holds(path: Path, ring: KeyRing) -> bool:
    try:
        return load_ring(path) == ring
    except KeyFileError:
        return False


def load_or_make_ring(path: Path) -> KeyRing:
    """The ring in a file, made there first where there is none: for a node that is not reachable from a network."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return load_ring(path)
    except OSError as error:
        raise KeyFileUnreadable(path, error.strerror or str(error)) from error
    with os.fdopen(descriptor, "w") as file:
        file.write(generate_key() + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)
    return load_ring(path)
