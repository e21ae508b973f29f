"""What a service mounts: `volumes` in short and long form, and `tmpfs`.

A relative path means something only beside the Compose file, and the tasks run on other hosts: it is taken as the path
that it has where the stack is deployed from, with a warning, or refused where nobody said from where. A volume that the
file does not declare is refused, since it would be a misspelt one's empty twin.
"""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from difflib import get_close_matches
from posixpath import join, normpath

from swarmlet.model.compose.errors import ComposeError, refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Mapping, Node, Sequence, is_null, shown
from swarmlet.model.compose.quantities import BadQuantity, size_bytes
from swarmlet.model.compose.scalars import boolean, one_of, pairs, permissions, sequence, size, string
from swarmlet.model.compose.volumes import VOLUME_NAME
from swarmlet.model.spec import Mount, MountKind

_PATTERN = "services.*.volumes[]"
_RELATIVE = (".", "~")
PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
"""mount_namespaces(7)."""
_WITHOUT_EFFECT = {
    **dict.fromkeys(("z", "Z"), "the path keeps its label"),
    **dict.fromkeys(("cached", "delegated", "consistent"), "it is for other systems than Linux"),
    "nocopy": "a new volume gets what the image has at its target",
}


@dataclass(frozen=True, slots=True)
class WrittenMount:
    mount: Mount
    node: Node


@dataclass(frozen=True, slots=True)
class MountReader:
    declared: MappingOf[str, str] | None
    """Full names of volumes by key; None where the declarations could not be read and nothing can be said."""
    findings: Findings
    folder: str = ""
    """Where the Compose file lies on the deployer's machine, absolute; empty: not known."""
    home: str = ""
    """The deployer's home directory; empty: not known."""

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
        source = parts[0]
        read_only, propagation = self._options(node, parts[2] if len(parts) == 3 else "")
        if not source:
            message = "has an empty source (a variable that is not set?): taken as a volume of the task's own"
            self.findings.warn(node.place, node.path, message)
            kind = MountKind.VOLUME
        elif source.startswith(("/", *_RELATIVE)) or "/" in source:
            kind, source = MountKind.BIND, self._on_node(node, source)
        else:
            kind, source = MountKind.VOLUME, self._volume(node, source)
        if propagation and kind is not MountKind.BIND:
            raise refused(node, f"the option {propagation} has no meaning for a {kind}, remove it")
        target = _target(node, parts[1])
        return Mount(kind=kind, source=source, target=target, read_only=read_only, propagation=propagation)

    def _options(self, node: Node, written: str) -> tuple[bool, str]:
        """Whether it is read-only, and how mounts propagate."""
        read_only, propagation = False, ""
        for option in written.split(",") if written else ():
            if option in ("ro", "rw"):
                read_only = option == "ro"
            elif option in PROPAGATIONS:
                propagation = option
            elif option in _WITHOUT_EFFECT:
                self.findings.warn(
                    node.place, node.path, f"the option {option} has no effect, {_WITHOUT_EFFECT[option]}"
                )
            else:
                message = f"the option {shown(option)} is not supported by swarmlet (yet), write ro or rw"
                raise refused(node, message)
        return read_only, propagation

    def _on_node(self, node: Node, source: str) -> str:
        """An absolute path."""
        if source.startswith("/"):
            return source
        at_home = source == "~" or source.startswith("~/")
        base = self.home if at_home else self.folder
        if not base or (source.startswith("~") and not at_home):
            raise _relative(node, source)
        path = normpath(join(base, source.removeprefix("~").lstrip("/") if at_home else source))
        message = (
            f"{shown(source)} is taken as {path}, which must be there on every node that runs a task of this service"
        )
        self.findings.warn(node.place, node.path, message)
        return path

    def _long(self, node: Node) -> Mount:
        fields = Fields(node, _PATTERN, self.findings)
        kind = MountKind(fields.require("type", one_of(*MountKind), "volume"))
        read_only = fields.read("read_only", boolean(self.findings), False)
        target = fields.require("target", lambda value: _target(value, string(value)), "/path/in/the/container")
        if kind is MountKind.BIND:
            source = fields.require("source", lambda value: self._on_node(value, string(value)), "/path/on/the/node")
        elif kind is MountKind.VOLUME:
            source = fields.read("source", lambda value: self._volume(value, string(value)), "")
        else:
            source = ""
            self._refuse_beside(fields, "source", kind)
        for other in MountKind:
            if kind is not other:
                self._refuse_beside(fields, other.value, kind)
        size_bytes_max, mode = fields.read("tmpfs", self._tmpfs_options, (0, 0))
        propagation = fields.read("bind", self._propagation, "")
        fields.read("volume", self._check_volume_options, None)
        return Mount(
            kind=kind,
            source=source,
            target=target,
            read_only=read_only,
            size_bytes=size_bytes_max,
            mode=mode,
            propagation=propagation,
        )

    def _refuse_beside(self, fields: Fields, key: str, kind: MountKind) -> None:
        value = fields.value(key)
        if value is not None:
            self.findings.refuse(refused(value, f"has no meaning for a {kind}, remove it or write another type"))

    def _tmpfs_options(self, node: Node) -> tuple[int, int]:
        if is_null(node):
            return 0, 0
        fields = Fields(node, f"{_PATTERN}.tmpfs", self.findings)
        return fields.read("size", size, 0), fields.read("mode", permissions, 0)

    def _propagation(self, node: Node) -> str:
        if is_null(node):
            return ""
        fields = Fields(node, f"{_PATTERN}.bind", self.findings)
        fields.read("create_host_path", boolean(self.findings), True)
        return fields.read("propagation", one_of(*PROPAGATIONS), "")

    def _check_volume_options(self, node: Node) -> None:
        if not is_null(node):
            fields = Fields(node, f"{_PATTERN}.volume", self.findings)
            fields.read("nocopy", boolean(self.findings), False)
            fields.read("labels", pairs, ())

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


def _relative(node: Node, source: str) -> ComposeError:
    message = f"{shown(source)} is relative to this machine, write an absolute path that exists on every node"
    return refused(node, message)


def _target(node: Node, target: str) -> str:
    if not target.startswith("/"):
        raise refused(node, f"{shown(target)} is no path in the container, write an absolute one like /data")
    return normpath(target)


def _tmpfs(node: Node) -> Mount:
    target, _, options = string(node).partition(":")
    limit = mode = 0
    read_only = False
    for option in options.split(",") if options else ():
        name, _, value = option.partition("=")
        if name == "size":
            try:
                limit = size_bytes(value)
            except BadQuantity as error:
                raise refused(node, str(error)) from error
        elif name == "mode":
            mode = _octal(node, value)
        elif option in ("ro", "rw"):
            read_only = option == "ro"
        else:
            message = f"the option {shown(option)} is not supported by swarmlet (yet), write size=…, mode=… or ro"
            raise refused(node, message)
    return Mount(kind=MountKind.TMPFS, target=_target(node, target), size_bytes=limit, mode=mode, read_only=read_only)


def _octal(node: Node, written: str) -> int:
    """Without a 0 in front too, as mount(8) takes it."""
    if not written or set(written) - set("01234567") or int(written, 8) > 0o7777:
        raise refused(node, f"{shown(written)} are no permissions, write octal digits like mode=1777")
    return int(written, 8)
