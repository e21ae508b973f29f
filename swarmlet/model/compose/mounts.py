"""What a service mounts: `volumes` in short and long form, and `tmpfs`.

A relative path means something only beside the Compose file, and the tasks run on other hosts: it is refused. So is a
volume that the file does not declare, since it would be a misspelt one's empty twin.
"""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from difflib import get_close_matches
from posixpath import normpath

from swarmlet.model.compose.errors import ComposeError, refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Mapping, Node, Sequence, is_null, shown
from swarmlet.model.compose.quantities import BadQuantity, size_bytes
from swarmlet.model.compose.scalars import boolean, one_of, sequence, size, string
from swarmlet.model.compose.volumes import VOLUME_NAME
from swarmlet.model.spec import Mount, MountKind

_PATTERN = "services.*.volumes[]"
_RELATIVE = (".", "~")


@dataclass(frozen=True, slots=True)
class WrittenMount:
    mount: Mount
    node: Node


@dataclass(frozen=True, slots=True)
class MountReader:
    declared: MappingOf[str, str] | None
    """Full names of volumes by key; None where the declarations could not be read and nothing can be said."""
    findings: Findings

    def volumes(self, node: Node) -> tuple[WrittenMount, ...]:
        found: list[WrittenMount] = []
        for item in sequence(node).items:
            with self.findings.collecting():
                found.append(WrittenMount(self._long(item) if isinstance(item, Mapping) else self._short(item), item))
        return tuple(found)

    def tmpfs(self, node: Node) -> tuple[WrittenMount, ...]:
        found: list[WrittenMount] = []
        for item in node.items if isinstance(node, Sequence) else (node,):
            with self.findings.collecting():
                found.append(WrittenMount(_tmpfs(item), item))
        return tuple(found)

    def distinct(self, written: tuple[WrittenMount, ...]) -> tuple[Mount, ...]:
        """The mounts, each at a path of its own."""
        taken: dict[str, int] = {}
        for item in written:
            target = item.mount.target
            if target in taken:
                message = f"line {taken[target]} mounts something at {shown(target)} too, write another path"
                self.findings.refuse(refused(item.node, message))
            taken.setdefault(target, item.node.place.line)
        return tuple(item.mount for item in written)

    def _short(self, node: Node) -> Mount:
        parts = string(node).split(":")
        if len(parts) == 1:
            return Mount(kind=MountKind.VOLUME, target=_target(node, parts[0]))
        if len(parts) > 3:
            raise refused(node, "too many colons, write SOURCE:TARGET or SOURCE:TARGET:ro")
        mode = parts[2] if len(parts) == 3 else "rw"
        if mode not in ("ro", "rw"):
            raise refused(node, f"the option {shown(mode)} is not supported by swarmlet (yet), write ro or rw")
        source = parts[0]
        if source.startswith("/"):
            kind = MountKind.BIND
        elif source.startswith(_RELATIVE) or "/" in source:
            raise _relative(node, source)
        else:
            kind, source = MountKind.VOLUME, self._volume(node, source)
        return Mount(kind=kind, source=source, target=_target(node, parts[1]), read_only=mode == "ro")

    def _long(self, node: Node) -> Mount:
        fields = Fields(node, _PATTERN, self.findings)
        kind = MountKind(fields.require("type", one_of(*MountKind), "volume"))
        read_only = fields.read("read_only", boolean(self.findings), False)
        target = fields.require("target", lambda value: _target(value, string(value)), "/path/in/the/container")
        if kind is MountKind.BIND:
            source = fields.require("source", _bind_source, "/path/on/the/node")
        elif kind is MountKind.VOLUME:
            source = fields.read("source", lambda value: self._volume(value, string(value)), "")
        else:
            source = ""
            self._refuse_beside(fields, "source", kind)
        if kind is not MountKind.TMPFS:
            self._refuse_beside(fields, "tmpfs", kind)
        size_of_tmpfs = fields.read("tmpfs", self._tmpfs_size, 0)
        return Mount(kind=kind, source=source, target=target, read_only=read_only, size_bytes=size_of_tmpfs)

    def _refuse_beside(self, fields: Fields, key: str, kind: MountKind) -> None:
        value = fields.value(key)
        if value is not None:
            self.findings.refuse(refused(value, f"has no meaning for a {kind}, remove it or write another type"))

    def _tmpfs_size(self, node: Node) -> int:
        if is_null(node):
            return 0
        return Fields(node, f"{_PATTERN}.tmpfs", self.findings).read("size", size, 0)

    def _volume(self, node: Node, name: str) -> str:
        if not VOLUME_NAME.fullmatch(name):
            raise refused(node, f"{shown(name)} is no volume and no absolute path, write NAME:TARGET or /PATH:TARGET")
        if self.declared is None:
            return name
        if name not in self.declared:
            near = get_close_matches(name, self.declared, n=1)
            remedy = f"write {near[0]}" if near else f"write '{name}:' below 'volumes:' at the top level"
            raise refused(node, f"the volume {shown(name)} is not declared, {remedy}")
        return self.declared[name]


def _bind_source(node: Node) -> str:
    source = string(node)
    if not source.startswith("/"):
        raise _relative(node, source)
    return source


def _relative(node: Node, source: str) -> ComposeError:
    message = f"{shown(source)} is relative to this machine, write an absolute path that exists on every node"
    return refused(node, message)


def _target(node: Node, target: str) -> str:
    if not target.startswith("/"):
        raise refused(node, f"{shown(target)} is no path in the container, write an absolute one like /data")
    return normpath(target)


def _tmpfs(node: Node) -> Mount:
    target, _, options = string(node).partition(":")
    size_of_tmpfs = 0
    for option in options.split(",") if options else ():
        name, _, value = option.partition("=")
        if name != "size":
            message = f"the option {shown(option)} is not supported by swarmlet (yet), write only size=…"
            raise refused(node, message)
        try:
            size_of_tmpfs = size_bytes(value)
        except BadQuantity as error:
            raise refused(node, str(error)) from error
    return Mount(kind=MountKind.TMPFS, target=_target(node, target), size_bytes=size_of_tmpfs)
