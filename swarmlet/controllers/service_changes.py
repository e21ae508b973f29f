"""What a deploy changes of a stack's services, field by field, in words for people: old and new values as short texts.

Rules:
- Derived from the stored objects before and after the transaction, not from what anybody meant to write.
- What may be secret is not shown: contents of secrets not at all (a digest of a short one would be as good as the
  secret); of configs size and digest; variables whose names sound like secrets, and passwords in URLs, as `(hidden)`.
- Fields are called as a Compose file calls them, where it has a name for them.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from swarmlet.model.ids import ServiceId
from swarmlet.model.objects import Service
from swarmlet.model.state import Versioned

HIDDEN = "(hidden)"
TEXT_CHARS_MAX = 200
"""Of one value: who needs more has the file."""
_SOUNDS_SECRET = re.compile(r"(?i)passw|secret|token|credential|private|api_?key|_key$|^key$|auth")
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
_MAPPINGS = ("template.environment.", "template.labels.")
_NAMES = (
    ("template.health_check", "healthcheck"),
    ("template.readiness", "x-swarmlet.readiness"),
    ("template.limits", "deploy.resources.limits"),
    ("template.reservations", "deploy.resources.reservations"),
    ("template.mounts", "volumes"),
    ("template.files", "files"),
    ("template.options", ""),
    ("template", ""),
    ("rollout.update", "deploy.update_config"),
    ("rollout.rollback", "deploy.rollback_config"),
    ("rollout", "x-swarmlet.rollout"),
    ("max_unavailable", "x-swarmlet.max_unavailable"),
    ("autoscale", "x-swarmlet.autoscale"),
    ("replicas", "deploy.replicas"),
    ("job", "x-swarmlet.job"),
    ("ingress", "x-swarmlet.ingress"),
    ("priority", "x-swarmlet.priority"),
    ("mode", "deploy.mode"),
    ("placement", "deploy.placement"),
)
"""The first prefix that fits is replaced."""
_IDENTITIES = ("published", "target", "name", "key")
"""What tells the items of a list apart, where all have it and it is distinct."""


class Action(StrEnum):
    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class FieldChange:
    key: str
    before: str | None
    """None: it was not set."""
    after: str | None
    """None: it is set no longer."""


@dataclass(frozen=True, slots=True)
class ServiceChange:
    service: ServiceId
    action: Action
    before: Service | None
    after: Service | None
    fields: tuple[FieldChange, ...]

    @property
    def replaces_tasks(self) -> bool:
        """Tasks that run are replaced: another revision. Without it only their number, or what goes on around them."""
        return bool(self.before and self.after and self.before.revision != self.after.revision)


def service_changes(
    before: Mapping[ServiceId, Versioned[Service]], after: Mapping[ServiceId, Versioned[Service]]
) -> list[ServiceChange]:
    """Of the services of one stack, in the order of their names."""
    return [_change(id_, before.get(id_), after.get(id_)) for id_ in sorted({*before, *after})]


def _change(id_: ServiceId, before: Versioned[Service] | None, after: Versioned[Service] | None) -> ServiceChange:
    old, new = before.value if before else None, after.value if after else None
    if old is None or new is None:
        return ServiceChange(id_, Action.ADD if old is None else Action.REMOVE, old, new, ())
    fields = tuple(_differing("", _plain(old), _plain(new)))
    return ServiceChange(id_, Action.UNCHANGED if old == new else Action.CHANGE, old, new, fields)


def _plain(service: Service) -> dict[str, Any]:
    return service.spec.model_dump(mode="json")


def _differing(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if before == after:
        return
    if isinstance(before, list) and isinstance(after, list):
        identity = _identity(before, after)
        if identity:
            before, after = ({str(item[identity]): item for item in items} for items in (before, after))
    if isinstance(before, dict) and isinstance(after, dict) and not _is_file(path):
        for key in (*before, *(key for key in after if key not in before)):
            yield from _differing(f"{path}.{key}".lstrip("."), before.get(key), after.get(key))
        return
    old, new = _shown(path, before), _shown(path, after)
    yield FieldChange(_name(path), old, f"{new}, another" if old == new else new)


def _identity(before: list[Any], after: list[Any]) -> str:
    for key in _IDENTITIES:
        found = [[item.get(key) if isinstance(item, dict) else None for item in items] for items in (before, after)]
        if all(None not in keys and len(set(keys)) == len(keys) for keys in found) and (before or after):
            return key
    return ""


def _is_file(path: str) -> bool:
    return path.startswith("template.files.")


def _name(path: str) -> str:
    for prefix, name in _NAMES:
        if path == prefix or path.startswith(f"{prefix}."):
            return f"{name}{path.removeprefix(prefix)}".lstrip(".")
    return path


def _shown(path: str, value: Any) -> str | None:
    if value is None or value == [] or value == {} or value == "":
        return None
    if _is_file(path):
        return _file(value)
    for mapping in _MAPPINGS:
        if path.startswith(mapping) and _SOUNDS_SECRET.search(path.removeprefix(mapping)):
            return HIDDEN
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = _URL_PASSWORD.sub(rf"\1{HIDDEN}@", text)
    return text if len(text) <= TEXT_CHARS_MAX else text[: TEXT_CHARS_MAX - 1] + "…"


def _file(value: Mapping[str, Any]) -> str:
    """A config or a secret as a whole, contents included; said is only what may be."""
    rights = f"owner {value['uid']}:{value['gid']}, mode {value['mode']:04o}"
    if value["secret"]:
        return f"secret, {rights}, contents {HIDDEN}"
    try:
        content = base64.b64decode(value["content_base64"])
    except binascii.Error:
        return f"config, {rights}"
    return f"config, {rights}, {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()[:12]}"
