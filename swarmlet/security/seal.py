"""Seals datagrams between agents: only holders of a key of the ring can make one, and each is taken once, while fresh.

    version (1) | session (12) | counter (4) | ciphertext of: kind (1), sent (4), body | tag (16)

Rules:
- A sender's session is a random id; its key is derived from the cluster key and that id, and its counter is the
  nonce. So one AES-256-GCM key has one writer who never repeats a nonce, whatever the number of nodes (NIST SP
  800-38D, 8.2.1). A session ends with the agent, after `SESSION_S`, with its counter, and when the primary key changes.
- Version and cluster name are authenticated: clusters that share a key by mistake still don't mix.
- A receiver takes a session's datagrams only after its sender has answered a challenge of this receiver: what was
  recorded before that is not taken, in whatever session, by whichever receiver, at any later time. The sender repeats
  its last payloads with the answer, so that nothing is lost by it.
- After that each counter is taken once (`ReplayWindow`), and not when it comes `LATE_S` later than the session's
  quickest: then it is challenged again. Both are measured in the two sides' own elapsed time; clocks need not agree.
- Challenges are remembered by nobody (the nonce is a keyed hash of session and time, as in RFC 6347's cookies), and
  what no key opens costs a hash and a decryption for each key and leaves nothing behind.

Decision record 0036.
"""

import hmac
import os
import struct
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from swarmlet.model.observed import Address
from swarmlet.security.keyring import KeyRing
from swarmlet.security.keys import ClusterKey, KeyId
from swarmlet.security.replay import ReplayWindow

VERSION: Final = 2
SESSION_ID_BYTES = 12
NONCE_SIZE_BYTES = 12
TAG_SIZE_BYTES = 16
HEADER = struct.Struct(f"!B{SESSION_ID_BYTES}sI")
INNER = struct.Struct("!BI")
OVERHEAD_BYTES = HEADER.size + INNER.size + TAG_SIZE_BYTES
"""How much longer a sealed datagram is than its payload."""
COUNTER_MAX = (1 << 32) - 1
SESSION_S = 86_400.0
"""A session's milliseconds fit four bytes with much to spare."""
LATE_S = 10.0
"""A lost datagram that somebody recorded may still be brought for so long, and no longer."""

SESSIONS_MAX = 16_384
"""Of others, proven; the longest silent is let go and would be challenged anew. A cluster has at most 10,000 nodes."""
CHALLENGE_BYTES = 16
CHALLENGE_SLOT_S = 2.0
"""A challenge may be answered in the slot it was made in and in the next one."""
REPEATABLE_MAX = 512
"""Addresses of which the last payloads are kept, to be repeated when a challenge comes from there."""
REPEATED_MAX = 4
"""Payloads to one address: a probe and the news that followed it at once."""
REPEATABLE_S = 1.0
"""A payload is repeated only for so long: whoever waited for an answer has done something else by then."""


class Kind(IntEnum):
    DATA = 0
    CHALLENGE = 1
    """Its body: the session that is asked, and a nonce."""
    PROOF = 2
    """Its body: the nonce."""


class Refusal(StrEnum):
    """Why a datagram was not taken."""

    MALFORMED = "malformed"
    """Shorter than any, of an unknown kind, or with a body that its kind doesn't have."""
    FOREIGN_VERSION = "foreign_version"
    FOREIGN = "foreign"
    """No key of the ring opens it: of another cluster, damaged, or sealed with a key that was removed."""
    REPLAYED = "replayed"
    UNPROVEN = "unproven"
    """Its sender has not yet shown that it lives; it was asked to."""


@dataclass(frozen=True, slots=True)
class Opened:
    """`payload` is what to act on; `answers` go back to where the datagram came from, each a sealed datagram."""

    payload: bytes | None = None
    refusal: Refusal | None = None
    answers: tuple[bytes, ...] = ()


@dataclass(slots=True)
class _Session:
    """Another agent's, that has proven itself."""

    key: KeyId
    cipher: AESGCM
    window: ReplayWindow
    quickest_s: float
    """The smallest difference seen between our clock at arrival and its elapsed time at sending."""


class DatagramSealer:
    """Pure but for the entropy: `now` is any clock that runs evenly, in seconds."""

    def __init__(self, ring: KeyRing, cluster: str, now: float, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._entropy = entropy
        self._associated = bytes([VERSION]) + cluster.encode()
        self._challenge_key = entropy(32)
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._repeatable: OrderedDict[Address, deque[tuple[float, bytes]]] = OrderedDict()
        self.rotate(ring, now)

    def rotate(self, ring: KeyRing, now: float) -> None:
        """Seal with this ring's primary key and accept its keys only; sessions under a key that stays go on."""
        self._roots = {key.id: _root(key) for key in ring.keys}
        self._primary = ring.primary.id
        for session_id in [each for each, session in self._sessions.items() if session.key not in self._roots]:
            del self._sessions[session_id]
        self._begin(now)

    # Sending

    def seal(self, payload: bytes, address: Address, now: float) -> bytes:
        sealed = self._sealed(Kind.DATA, payload, now)
        sent = self._repeatable.get(address)
        if sent is None:
            sent = self._repeatable[address] = deque(maxlen=REPEATED_MAX)
            if len(self._repeatable) > REPEATABLE_MAX:
                self._repeatable.popitem(last=False)
        else:
            self._repeatable.move_to_end(address)
        sent.append((now, payload))
        return sealed

    def _begin(self, now: float) -> None:
        self._own = self._entropy(SESSION_ID_BYTES)
        self._cipher = _cipher(self._roots[self._primary], self._own)
        self._counter = 0
        self._began = now
        # What an earlier session carried was taken under that one, as far as it arrived.
        self._repeatable.clear()

    def _sealed(self, kind: Kind, body: bytes, now: float) -> bytes:
        if self._counter >= COUNTER_MAX or not 0.0 <= now - self._began < SESSION_S:
            self._begin(now)
        self._counter += 1
        header = HEADER.pack(VERSION, self._own, self._counter)
        inner = INNER.pack(kind, int((now - self._began) * 1000)) + body
        return header + self._cipher.encrypt(_nonce(self._counter), inner, self._associated)

    # Receiving

    def open(self, sealed: bytes, address: Address, now: float) -> Opened:
        """Raises nothing, whatever the bytes are."""
        if sealed[:1] != self._associated[:1]:
            return Opened(refusal=Refusal.FOREIGN_VERSION if sealed else Refusal.MALFORMED)
        if len(sealed) < OVERHEAD_BYTES:
            return Opened(refusal=Refusal.MALFORMED)
        _, session_id, counter = HEADER.unpack_from(sealed)
        session = self._sessions.get(session_id)
        found = self._decrypted(session_id, counter, sealed[HEADER.size :], session)
        if found is None:
            return Opened(refusal=Refusal.FOREIGN)
        key, cipher, inner = found
        kind, sent_ms = INNER.unpack_from(inner)
        body = inner[INNER.size :]
        delay_s = now - sent_ms / 1000
        match kind:
            case Kind.CHALLENGE if len(body) == SESSION_ID_BYTES + CHALLENGE_BYTES:
                return self._answer(body[:SESSION_ID_BYTES], body[SESSION_ID_BYTES:], address, now)
            case Kind.PROOF if len(body) == CHALLENGE_BYTES:
                if not self._is_own_nonce(body, session_id, now):
                    return Opened(refusal=Refusal.REPLAYED)
                return self._take_proof(session_id, counter, _Session(key, cipher, ReplayWindow(counter), delay_s))
            case Kind.DATA:
                return self._take_data(session_id, session, counter, body, now, delay_s)
            case _:
                return Opened(refusal=Refusal.MALFORMED)

    def _decrypted(
        self, session_id: bytes, counter: int, ciphertext: bytes, session: _Session | None
    ) -> tuple[KeyId, AESGCM, bytes] | None:
        nonce = _nonce(counter)
        if session is not None:
            candidates = [(session.key, session.cipher)]
        else:
            candidates = [(key, _cipher(root, session_id)) for key, root in self._roots.items()]
        for key, cipher in candidates:
            try:
                return key, cipher, cipher.decrypt(nonce, ciphertext, self._associated)
            except InvalidTag:
                continue
        return None

    def _take_data(
        self, session_id: bytes, session: _Session | None, counter: int, body: bytes, now: float, delay_s: float
    ) -> Opened:
        if session is None or delay_s - session.quickest_s > LATE_S:
            return self._challenge(session_id, now)
        if not session.window.admits(counter):
            return Opened(refusal=Refusal.REPLAYED)
        session.quickest_s = min(session.quickest_s, delay_s)
        self._sessions.move_to_end(session_id)
        return Opened(payload=body)

    # Challenges

    def _challenge(self, session_id: bytes, now: float) -> Opened:
        nonce = self._challenge_nonce(session_id, int(now // CHALLENGE_SLOT_S))
        return Opened(refusal=Refusal.UNPROVEN, answers=(self._sealed(Kind.CHALLENGE, session_id + nonce, now),))

    def _answer(self, asked: bytes, nonce: bytes, address: Address, now: float) -> Opened:
        """Whoever made the challenge holds a key; an old one brought again costs one answer and proves nothing."""
        if asked != self._own:
            return Opened(refusal=Refusal.REPLAYED)
        answers = [self._sealed(Kind.PROOF, nonce, now)]
        for sent_at, payload in self._repeatable.pop(address, ()):
            if now - sent_at < REPEATABLE_S:
                answers.append(self._sealed(Kind.DATA, payload, now))
        return Opened(answers=tuple(answers))

    def _is_own_nonce(self, nonce: bytes, session_id: bytes, now: float) -> bool:
        slot = int(now // CHALLENGE_SLOT_S)
        candidates = (self._challenge_nonce(session_id, each) for each in (slot, slot - 1))
        return any(hmac.compare_digest(nonce, each) for each in candidates)

    def _take_proof(self, session_id: bytes, counter: int, proven: _Session) -> Opened:
        known = self._sessions.get(session_id)
        if known is None:
            self._sessions[session_id] = proven
            if len(self._sessions) > SESSIONS_MAX:
                self._sessions.popitem(last=False)
        elif known.window.admits(counter):
            # It was asked for coming late, or twice: what was seen stays seen.
            known.quickest_s = proven.quickest_s
        else:
            return Opened(refusal=Refusal.REPLAYED)
        return Opened()

    def _challenge_nonce(self, session_id: bytes, slot: int) -> bytes:
        message = session_id + slot.to_bytes(8, signed=True)
        return hmac.digest(self._challenge_key, message, "sha256")[:CHALLENGE_BYTES]


def _root(key: ClusterKey) -> bytes:
    return key.derive("datagrams/2")


def _cipher(root: bytes, session_id: bytes) -> AESGCM:
    """HKDF-Expand (RFC 5869, 2.3) of one block, written out: it is on the way of every stranger's datagram."""
    return AESGCM(hmac.digest(root, session_id + b"\x01", "sha256"))


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(NONCE_SIZE_BYTES)
