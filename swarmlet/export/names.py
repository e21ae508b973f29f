"""Names as Kubernetes takes them: DNS labels of 63 characters at most, that begin with a letter.

A service keeps its own name, without the stack's: others in the stack call it by it. `_` becomes `-`; where that, or
the length, makes two names one, the later gets a digest. So does what is called after a service, like `web-published`,
where another service has that name.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping

LENGTH_MAX = 63
SUFFIX_CHARS_MAX = 16
"""Room for what names of a service's other objects end with, like `-published`."""
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def dns_name(text: str, length_max: int = LENGTH_MAX) -> str:
    plain = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
    if not plain or not plain[0].isalpha():
        plain = f"x-{plain}".rstrip("-")
    return plain if len(plain) <= length_max else f"{plain[: length_max - 7].rstrip('-')}-{digest(text)}"


def distinct_names(
    texts: Iterable[str], length_max: int = LENGTH_MAX - SUFFIX_CHARS_MAX, taken: Collection[str] = ()
) -> Mapping[str, str]:
    """By text; none of them is one of those that are `taken`."""
    names: dict[str, str] = {}
    used = set(taken)
    for text in texts:
        name, told_apart = dns_name(text, length_max), text
        while name in used:
            told_apart = digest(told_apart)
            name = f"{name[: length_max - 7].rstrip('-')}-{told_apart}"
        names[text] = name
        used.add(name)
    return names


def file_keys(paths: Iterable[str]) -> Mapping[str, str]:
    """Keys of a ConfigMap or Secret for files: their names, told apart where they must be."""
    keys: dict[str, str] = {}
    for path in paths:
        key = re.sub(r"[^-._a-zA-Z0-9]", "_", path.rpartition("/")[2])[:200] or "file"
        if key in keys.values() or set(key) == {"."}:
            key = f"{key.strip('.') or 'file'}-{digest(path)}"
        keys[path] = key
    return keys


def is_label(key: str, value: str) -> bool:
    return is_label_key(key) and _LABEL_VALUE.fullmatch(value) is not None


def is_label_key(key: str) -> bool:
    """Annotations' keys follow the same rule."""
    return _LABEL_KEY.fullmatch(key) is not None


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
