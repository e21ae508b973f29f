"""Seals datagrams between agents: only holders of the cluster key can read or make one.

Rules: AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D); a version byte in front, so that a later
format can be told apart; version and cluster name are authenticated, so two clusters that share a key by
mistake still don't mix. Random nonces need no state that could be lost in a crash;
after 2**32 datagrams under one key (a hundred nodes at a hundred a second: five days) a repeated nonce is
still a 1 in 2**33 event, and it would reveal two datagrams' difference, no key and no secret: gossip carries
none. Replays are harmless: gossip is idempotent and ordered by incarnation and version.

    version (1) | nonce (12) | ciphertext | tag (16)
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from swarmlet.errors import SwarmletError
from swarmlet.security.keys import ClusterKey

VERSION = 1
NONCE_SIZE_BYTES = 12
TAG_SIZE_BYTES = 16
OVERHEAD_BYTES = 1 + NONCE_SIZE_BYTES + TAG_SIZE_BYTES
"""How much longer a sealed datagram is than its payload."""


class SealError(SwarmletError):
    """A packet that no member of this cluster made, or that was changed on its way."""


class DatagramSealer:
    def __init__(self, key: ClusterKey, cluster: str) -> None:
        self._cipher = AESGCM(key.derive("datagrams"))
        self._version = bytes([VERSION])
        self._associated = self._version + cluster.encode()

    def seal(self, payload: bytes) -> bytes:
        nonce = os.urandom(NONCE_SIZE_BYTES)
        return self._version + nonce + self._cipher.encrypt(nonce, payload, self._associated)

    def open(self, sealed: bytes) -> bytes:
        if len(sealed) < OVERHEAD_BYTES:
            raise SealError(f"a sealed datagram has at least {OVERHEAD_BYTES} bytes, this one has {len(sealed)}")
        if sealed[0] != VERSION:
            raise SealError(f"sealed by version {sealed[0]} of the format, this agent knows version {VERSION}")
        nonce = sealed[1 : 1 + NONCE_SIZE_BYTES]
        try:
            return self._cipher.decrypt(nonce, sealed[1 + NONCE_SIZE_BYTES :], self._associated)
        except InvalidTag as error:
            raise SealError("made with another cluster key or cluster name, or damaged") from error
