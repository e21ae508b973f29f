"""A backup as a file: what the cluster has agreed on at one moment, checked from its first byte to its last.

Format 1, all numbers big-endian: the 8 bytes `SWLTBKUP`; then frames, each its kind (1 byte), length (4 bytes), CRC-32
of kind and content (4 bytes) and content; at the end the SHA-256 of all before it. Kinds, in this order: one head (a
JSON object), any number of pieces of the state (as in a snapshot, `store.snapshot`), one end (JSON with the number of
bytes). Whoever reads it can do so as it arrives, and knows with the last byte whether it is whole.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from swarmlet.errors import SwarmletError

MAGIC = b"SWLTBKUP"
FORMAT = 1
MEDIA_TYPE = "application/vnd.swarmlet.backup"
FRAME = struct.Struct(">BII")
HEAD, PIECE, END = 1, 2, 3
PIECE_BYTES_MAX = 16 * 1024 * 1024
DIGEST_BYTES = 32
READ_BYTES = 256 * 1024


class BadBackup(SwarmletError):
    def __init__(self, problem: str) -> None:
        super().__init__(f"this backup can't be used: {problem}")
        self.problem = problem


class NotABackup(BadBackup):
    def __init__(self) -> None:
        super().__init__("it is no backup of swarmlet")


class NewerBackup(BadBackup):
    def __init__(self, found: int) -> None:
        super().__init__(f"it is of format {found}, this version reads {FORMAT}: use the version that wrote it")
        self.found = found


@dataclass(frozen=True, slots=True)
class BackupHead:
    cluster: str
    node: str
    """The name of the peer that gave it."""
    revision: int
    index: int
    term: int
    taken_at: float
    """Wall time, seconds since the epoch."""
    version: str
    """Of the agent that made it."""


@dataclass(frozen=True, slots=True)
class Backup:
    head: BackupHead
    pieces: tuple[bytes, ...]
    """The state, as in a snapshot."""


class BackupWriter:
    """Makes the file's parts in their order: `begin`, any number of `piece`, `end`."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def begin(self, head: BackupHead) -> bytes:
        return self._hashed(MAGIC + _frame(HEAD, json.dumps({"format": FORMAT, **asdict(head)}).encode()))

    def piece(self, content: bytes) -> bytes:
        self._size_bytes += len(content)
        return self._hashed(_frame(PIECE, content))

    def end(self) -> bytes:
        last = self._hashed(_frame(END, json.dumps({"size_bytes": self._size_bytes}).encode()))
        return last + self._digest.digest()

    def _hashed(self, part: bytes) -> bytes:
        self._digest.update(part)
        return part


class BackupReader:
    """Takes the bytes in any parts. Raises `BadBackup` as soon as something is wrong."""

    def __init__(self, keep_pieces: bool = True) -> None:
        """Without `keep_pieces` it only checks."""
        self.head: BackupHead | None = None
        self._keep = keep_pieces
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._begun = self._ended = False

    def feed(self, part: bytes) -> None:
        self._buffer += part
        if not self._begun:
            self._begin()
        while self._begun and not self._ended and (frame := self._next_frame()):
            self._take(*frame)
        if self._ended and len(self._buffer) > DIGEST_BYTES:
            raise BadBackup("something follows its end")

    def finish(self) -> Backup:
        """After the last byte."""
        if not self._begun:
            raise NotABackup
        if self.head is None or not self._ended or len(self._buffer) < DIGEST_BYTES:
            raise BadBackup("its end is missing: it was not written or copied to the end")
        if bytes(self._buffer) != self._digest.digest():
            raise BadBackup("it is damaged: its checksum is another")
        return Backup(self.head, tuple(self._pieces))

    def _begin(self) -> None:
        if not MAGIC.startswith(bytes(self._buffer[: len(MAGIC)])):
            raise NotABackup
        if len(self._buffer) >= len(MAGIC):
            self._consume(len(MAGIC))
            self._begun = True

    def _next_frame(self) -> tuple[int, bytes] | None:
        if len(self._buffer) < FRAME.size:
            return None
        kind, length, stored = FRAME.unpack_from(self._buffer)
        if kind not in (HEAD, PIECE, END) or length > PIECE_BYTES_MAX:
            raise BadBackup("it is damaged: what should be a frame is none")
        if len(self._buffer) < FRAME.size + length:
            return None
        content = bytes(self._buffer[FRAME.size : FRAME.size + length])
        if _checksum(kind, content) != stored:
            raise BadBackup("it is damaged: a checksum is another")
        self._consume(FRAME.size + length)
        return kind, content

    def _consume(self, length: int) -> None:
        self._digest.update(self._buffer[:length])
        del self._buffer[:length]

    def _take(self, kind: int, content: bytes) -> None:
        if (kind == HEAD) != (self.head is None):
            raise BadBackup("it is damaged: its head is missing, or there are two")
        if kind == HEAD:
            self.head = _head(content)
        elif kind == PIECE:
            self._size_bytes += len(content)
            if self._keep:
                self._pieces.append(content)
        else:
            self._ended = True
            if json.loads(content)["size_bytes"] != self._size_bytes:
                raise BadBackup("it is damaged: pieces are missing")


def read_backup(path: Path) -> Backup:
    """Raises `BadBackup`, also where the file can't be read."""
    try:
        with path.open("rb") as file:
            return read_from(file)
    except OSError as error:
        raise BadBackup(f"{path}: {error.strerror or error}") from error


def read_from(file: BinaryIO) -> Backup:
    reader = BackupReader()
    while part := file.read(READ_BYTES):
        reader.feed(part)
    return reader.finish()


def save(path: Path, parts: Iterable[bytes]) -> BackupHead:
    """Write a backup as it arrives, checked, whole or not at all, for its owner only. Raises `BadBackup`, `OSError`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    reader = BackupReader(keep_pieces=False)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                reader.feed(part)
                file.write(part)
            head = reader.finish().head
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        beside.unlink(missing_ok=True)
    return head


def _head(content: bytes) -> BackupHead:
    try:
        fields = json.loads(content)
        found = fields.pop("format")
        if found > FORMAT:
            raise NewerBackup(found)
        return BackupHead(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadBackup(f"its head can't be read ({error})") from error


def _frame(kind: int, content: bytes) -> bytes:
    return FRAME.pack(kind, len(content), _checksum(kind, content)) + content


def _checksum(kind: int, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(bytes((kind,))))
