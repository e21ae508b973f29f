"""What a node has already: images and named volumes, as short keys, so that hundreds of them fit in its facts.

A key is the beginning of a hash: two names that share one cost a placement that is as good as another.
"""

import base64
import hashlib
from collections.abc import Iterable

KEYS_MAX = 200
"""Of images and of volumes each. What a node has beyond that, it is not known to have."""
KEY_BYTES = 6
_PREFIXES = ("docker.io/library/", "docker.io/", "localhost/")
"""Engines put them before names that have no registry."""


def image_key(name: str) -> str:
    """The same for all ways to write one image."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    if "@" not in name and ":" not in name.rpartition("/")[2]:
        name += ":latest"
    return _key(name)


def volume_key(name: str) -> str:
    return _key(name)


def bounded(keys: Iterable[str]) -> tuple[str, ...]:
    """Sorted, so that the same things are always the same record."""
    return tuple(sorted(set(keys))[:KEYS_MAX])


def _key(name: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()[:KEY_BYTES]).decode()
