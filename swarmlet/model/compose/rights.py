"""What a container may do beyond its own walls: devices, shared namespaces, kernel parameters, security options."""

import re
from difflib import get_close_matches
from posixpath import normpath

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields, each
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Mapping, Node, shown
from swarmlet.model.compose.scalars import pairs, sequence, string, text
from swarmlet.model.container import CDI_NAME_PATTERN, Device, NetworkMode, Security

_DEVICES = "services.*.devices[]"
_SYSCTL = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_-]+)+")
_NAMESPACED = ("net.", "fs.mqueue.", "kernel.shm", "kernel.msg", "kernel.sem", "kernel.domainname")
"""What a container has of its own; any other parameter would be its node's, and engines refuse it."""
_SECURITY = ("no-new-privileges", "seccomp", "apparmor", "label", "mask", "unmask", "systempaths")


def read_devices(node: Node, findings: Findings) -> tuple[Device, ...]:
    return each(node, lambda item: _device(item, findings), findings)


def _device(node: Node, findings: Findings) -> Device:
    if isinstance(node, Mapping):
        fields = Fields(node, _DEVICES, findings)
        target = fields.read("target", _path, "")
        permissions = fields.read("permissions", lambda value: _permissions(value, string(value)), "rwm")
        source = fields.require("source", _source, "/dev/ttyUSB0")
        return Device(source=source, target=target or source, permissions=permissions)
    if _is_cdi(string(node)):
        return Device(source=string(node), target=string(node))
    parts = string(node).split(":")
    if len(parts) > 3:
        raise refused(node, "too many colons, write SOURCE:TARGET:rwm")
    if len(parts) == 2 and not parts[1].startswith("/"):
        parts = [parts[0], parts[0], parts[1]]
    permissions = _permissions(node, parts[2]) if len(parts) == 3 else "rwm"
    source = _absolute(node, parts[0])
    return Device(source=source, target=_absolute(node, (parts[1:2] or [source])[0]), permissions=permissions)


def _is_cdi(name: str) -> bool:
    return re.fullmatch(CDI_NAME_PATTERN, name) is not None


def _source(node: Node) -> str:
    return string(node) if _is_cdi(string(node)) else _path(node)


def _path(node: Node) -> str:
    return _absolute(node, string(node))


def _absolute(node: Node, path: str) -> str:
    if not path.startswith("/"):
        raise refused(node, f"{shown(path)} is no path of a device, write an absolute one like /dev/ttyUSB0")
    return normpath(path)


def _permissions(node: Node, written: str) -> str:
    if not written or set(written) - set("rwm"):
        raise refused(node, f"{shown(written)} are no permissions of a device, write some of rwm")
    return written


def shares_host(what: str, *own: str) -> "SharesHost":
    return SharesHost(what, own)


class SharesHost:
    """Reads `host` (shared with the node) or one of the words for a namespace of the container's own."""

    def __init__(self, what: str, own: tuple[str, ...]) -> None:
        self._what = what
        self._own = own

    def __call__(self, node: Node) -> bool:
        written = string(node)
        if written == "host":
            return True
        if written in self._own:
            return False
        choices = " or ".join(("host", *self._own))
        if written.startswith(("service:", "container:")):
            message = f"tasks share no {self._what} with each other (yet), write {choices} or remove it"
            raise refused(node, message)
        raise refused(node, f"cannot be {shown(written)}, write {choices}, or remove it")


def network_mode(node: Node) -> NetworkMode:
    written = string(node)
    if written.startswith(("service:", "container:")):
        raise refused(node, "tasks share no network with each other (yet), write host, or remove it")
    if written not in list(NetworkMode):
        raise refused(node, f"cannot be {shown(written)}, write {' or '.join(NetworkMode)}")
    return NetworkMode(written)


def read_sysctls(node: Node) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs(node):
        name = pair.name.replace("/", ".")
        if pair.value is None or not _SYSCTL.fullmatch(pair.name):
            raise refused(pair.node, f"{shown(pair.name)} is no kernel parameter with a value, write NAME=VALUE")
        if not name.startswith(_NAMESPACED):
            message = f"{name} belongs to the node, not to a container: set it on the nodes and remove it here"
            raise refused(pair.node, message)
        found[name] = pair.value
    return found


def read_groups(node: Node) -> tuple[str, ...]:
    found: list[str] = []
    for item in sequence(node).items:
        group = text(item)
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?", group):
            raise refused(item, f"{shown(group)} is no group, write its name or number")
        found.append(group)
    return tuple(dict.fromkeys(found))


def read_security(node: Node, findings: Findings) -> Security:
    known = Security()
    for item in sequence(node).items:
        with findings.collecting():
            known = _with_option(item, known)
    return known


def _with_option(node: Node, known: Security) -> Security:
    written = string(node)
    name, value = _split(written)
    if name not in _SECURITY:
        near = get_close_matches(name, _SECURITY, n=1)
        remedy = f"write {near[0]}" if near else f"write one of {', '.join(_SECURITY)}"
        raise refused(node, f"{shown(written)} is no security option, {remedy}")
    if name == "no-new-privileges":
        if value not in ("", "true", "false"):
            raise refused(node, f"cannot be {shown(value)}, write no-new-privileges or no-new-privileges:false")
        return known.model_copy(update={"no_new_privileges": value != "false"})
    if not value:
        raise refused(node, f"{shown(written)} has no value, write {name}=…")
    match name:
        case "seccomp":
            if value != "unconfined" and not value.startswith("/"):
                raise refused(node, f"{shown(value)} is no profile, write unconfined or a path that is on every node")
            return known.model_copy(update={"seccomp": value})
        case "apparmor":
            return known.model_copy(update={"apparmor": value})
        case "label":
            return known.model_copy(update={"selinux": (*known.selinux, value)})
        case "mask":
            return known.model_copy(update={"mask": (*known.mask, *value.split(":"))})
        case "systempaths":
            if value != "unconfined":
                raise refused(node, f"cannot be {shown(value)}, write systempaths=unconfined")
            return known.model_copy(update={"unmask": (*known.unmask, "ALL")})
    return known.model_copy(update={"unmask": (*known.unmask, *value.split(":"))})


def _split(written: str) -> tuple[str, str]:
    """Docker took `:` before it took `=`; the first of the two counts."""
    at = min((found for mark in "=:" if (found := written.find(mark)) >= 0), default=len(written))
    return written[:at], written[at + 1 :]
