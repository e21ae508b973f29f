"""The cluster key: the one secret that makes hosts members of the same cluster. And reading secrets from files.

Rules: 32 random bytes, written as base64, in a file that nobody but its owner can read. The key itself is never
used for anything; each use derives its own key from it (HKDF-SHA256, RFC 5869, with the purpose as `info`), so that
one use can't weaken another. Its id is derived too: it names the key to people and reveals nothing of it.
"""

import base64
import binascii
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import NewType

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from swarmlet.errors import SwarmletError

KeyId = NewType("KeyId", str)
"""12 hexadecimal digits."""

KEY_SIZE_BYTES = 32
KEY_ID_SIZE_BYTES = 6
KEY_FILE_SIZE_BYTES_MAX = 1024
"""A longer file is certainly something else; it is not read into memory."""
TOKEN_LENGTH_MIN = 16
"""Of an API token: shorter ones can be guessed."""


class KeyFileError(SwarmletError):
    """A secret (the cluster key, a token) could not be taken from its file."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class KeyFileUnreadable(KeyFileError):
    """It does not exist, is no file, or this user may not read it."""


class KeyFileExposed(KeyFileError):
    """Others than its owner may read or write it."""


class KeyMalformed(SwarmletError):
    """The text is not the base64 of a cluster key."""


class ClusterKey:
    """The secret, wrapped so that it never shows in a log, a traceback or a `repr`."""

    __slots__ = ("_secret", "id")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_SIZE_BYTES:
            raise KeyMalformed(f"a cluster key has {KEY_SIZE_BYTES} bytes, this one has {len(secret)}")
        self._secret = secret
        self.id = KeyId(self.derive("key-id")[:KEY_ID_SIZE_BYTES].hex())

    @classmethod
    def parse(cls, text: str) -> "ClusterKey":
        try:
            secret = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise KeyMalformed("not base64: make a cluster key with `swarmlet keygen`") from error
        return cls(secret)

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose; the same on every node."""
        info = b"swarmlet/1/" + purpose.encode()
        return HKDF(algorithm=hashes.SHA256(), length=KEY_SIZE_BYTES, salt=None, info=info).derive(self._secret)

    def reveal(self) -> bytes:
        """The secret itself: for the key file and for other members, and for nothing else."""
        return self._secret

    def text(self) -> str:
        """As `reveal`, as it stands in a key file."""
        return base64.b64encode(self._secret).decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClusterKey) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return "ClusterKey(…)"


def generate_key() -> str:
    """A fresh cluster key as text, for `swarmlet keygen`."""
    return base64.b64encode(secrets.token_bytes(KEY_SIZE_BYTES)).decode()


def load_token(path: Path) -> str:
    """The API token in a file of mode 0600 or stricter. Raises `KeyFileError`."""
    token = read_private(path).strip()
    if len(token) < TOKEN_LENGTH_MIN or not (token.isascii() and token.isprintable()) or " " in token:
        raise KeyFileError(path, f"a token is one word of at least {TOKEN_LENGTH_MIN} letters, digits and signs")
    return token


def read_private(path: Path) -> str:
    """The text of a small file of mode 0600 or stricter. Raises `KeyFileError` that names the file and what to do."""
    try:
        with path.open("rb") as file:
            # The mode is read from the opened file: what is checked is what is read.
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyFileUnreadable(path, "is not a regular file")
            if mode & 0o077:
                raise KeyFileExposed(
                    path, f"mode is {stat.S_IMODE(mode):04o}, others can use it: run `chmod 600 {path}`"
                )
            content = file.read(KEY_FILE_SIZE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileUnreadable(path, error.strerror or str(error)) from error
    if len(content) > KEY_FILE_SIZE_BYTES_MAX:
        raise KeyFileError(path, f"is longer than {KEY_FILE_SIZE_BYTES_MAX} bytes, so it is something else")
    return content.decode("ascii", errors="replace")
