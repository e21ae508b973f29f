"""The hash of a store's content: a sum of digests, kept up to date at the cost of the change and never recomputed.

Each object (key, value, revisions) and each remembered request has a digest of its own, 128 bits of BLAKE2b. The
content's hash is their sum modulo 2^128, so the order in which they came does not matter, and a change subtracts the
old digest and adds the new one. Source: AdHash (Bellare and Micciancio, "A New Paradigm for Collision-free Hashing",
1997, §5); LtHash is the same with longer sums.

Sums of 128 bits do not withstand somebody who searches for collisions. None is needed here: peers share a key and
trust each other, and what this has to find are faults, which hit an equal sum once in 2^128 times.
"""

from hashlib import blake2b
from struct import Struct

import msgpack

from swarmlet.store.objects import TransactionResult

MODULUS = 1 << 128
SIZE_BYTES = 16
_OBJECT_HEAD = Struct("<IQQ")
_STATE = Struct("<Q16s16s")


def object_digest(key: str, value: bytes, created_revision: int, modified_revision: int) -> int:
    name = key.encode()
    digest = blake2b(_OBJECT_HEAD.pack(len(name), created_revision, modified_revision) + name, digest_size=SIZE_BYTES)
    digest.update(value)
    return int.from_bytes(digest.digest(), "little")


def request_digest(client: str, sequence: int, result: TransactionResult) -> int:
    failed = [(compare.key, compare.revision) for compare in result.failed]
    plain: bytes = msgpack.packb((client, sequence, result.succeeded, result.revision, failed))
    return int.from_bytes(blake2b(plain, digest_size=SIZE_BYTES).digest(), "little")


def state_digest(revision: int, objects: int, requests: int) -> str:
    """Of the whole store: its revision and both sums."""
    sums = (objects.to_bytes(SIZE_BYTES, "little"), requests.to_bytes(SIZE_BYTES, "little"))
    return blake2b(_STATE.pack(revision, *sums), digest_size=SIZE_BYTES).hexdigest()
