"""`configs` and `secrets`: declared once with their content, mounted as files by services.

Contents are read where the stack is deployed and sent along: tasks run on other hosts. They become part of the
template, so that a changed content replaces the tasks that have it. That bounds their size: each task's object in the
store holds them.
"""

import base64
import binascii
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from difflib import get_close_matches
from posixpath import normpath

from swarmlet.model.compose.errors import ComposeError, refusal, refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Entry, Mapping, Node, Scalar, below, is_null, shown
from swarmlet.model.compose.scalars import any_string, integer, mapping, permissions, sequence, string
from swarmlet.model.compose.volumes import VOLUME_NAME
from swarmlet.model.container import FileMount

FILE_BYTES_MAX = 128 * 1024
"""Of one config or secret: a certificate chain has a tenth of it."""
SERVICE_BYTES_MAX = 256 * 1024
"""Of all files of one service: an object in the store has at most 1 MiB, and holds them in base64."""
SECRETS_FOLDER = "/run/secrets/"
_ID_MAX = 2**31 - 1
_SOURCES = ("file", "environment", "content")


@dataclass(frozen=True, slots=True)
class Stored:
    """A declared config or secret; `content_base64` is None where it is not here and that was only warned of."""

    content_base64: str | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredFiles:
    variables: MappingOf[str, str]
    contents: MappingOf[str, str]
    """Of files in base64, by their path."""
    warn_of_missing: bool
    """Where nothing is deployed, a file that is not here is no fault yet."""
    findings: Findings

    def declared(self, node: Node, kind: str) -> MappingOf[str, Stored | None]:
        """By name; None for a faulty one, lest its users were blamed for it. `kind` is `configs` or `secrets`."""
        found: dict[str, Stored | None] = {}
        for entry in () if is_null(node) else mapping(node).entries:
            found[entry.key] = None
            with self.findings.collecting():
                found[entry.key] = self._declared(entry, node.path, kind)
        return found

    def mounts(self, node: Node, declared: MappingOf[str, Stored | None], kind: str) -> tuple["WrittenFile", ...]:
        found: list[WrittenFile] = []
        for item in sequence(node).items:
            with self.findings.collecting():
                file = self._mount(item, declared, kind)
                if file is not None:
                    found.append(WrittenFile(file, item))
        return tuple(found)

    def _declared(self, entry: Entry, path: str, kind: str) -> Stored:
        if not VOLUME_NAME.fullmatch(entry.key):
            message = "cannot be its name, write letters, digits and _ . - (a letter or digit first)"
            raise refusal(entry.key_place, below(path, entry.key), message)
        fields = Fields(entry.value, f"{kind}.*", self.findings)
        sources = [key for key in _SOURCES if (key != "content" or kind == "configs") and fields.has(key)]
        if len(sources) != 1:
            choices = "'file: PATH' or 'environment: NAME'" + (" or 'content: …'" if kind == "configs" else "")
            problem = "must have one content" if not sources else f"has more than one content ({', '.join(sources)})"
            raise fields.lack(f"{problem}, write {choices}")
        readers = {"file": self._file, "environment": self._variable, "content": self._content}
        stored = readers[sources[0]](fields.value(sources[0]) or entry.value)
        if stored.size_bytes > FILE_BYTES_MAX:
            message = f"has {stored.size_bytes:,} bytes, at most {FILE_BYTES_MAX:,} are taken, write it into a volume"
            raise refused(entry.value, message)
        return stored

    def _file(self, node: Node) -> Stored:
        path = string(node)
        content = self.contents.get(path)
        if content is None:
            return self._missing(node, f"the file {path} is missing, create it before you deploy")
        try:
            return Stored(content, len(base64.b64decode(content, validate=True)))
        except binascii.Error as error:
            raise refused(node, f"the content sent for {path} is not base64, send it with `swarmlet deploy`") from error

    def _variable(self, node: Node) -> Stored:
        name = string(node)
        value = self.variables.get(name)
        if value is None:
            return self._missing(node, f"the variable {shown(name)} is not set, set it before you deploy")
        return _of_text(value)

    def _content(self, node: Node) -> Stored:
        return _of_text(any_string(node))

    def _missing(self, node: Node, message: str) -> Stored:
        if not self.warn_of_missing:
            raise refused(node, message)
        self.findings.warn(node.place, node.path, message)
        return Stored(None, 0)

    def _mount(self, node: Node, declared: MappingOf[str, Stored | None], kind: str) -> FileMount | None:
        if isinstance(node, Mapping):
            fields = Fields(node, f"services.*.{kind}[]", self.findings)
            target = fields.read("target", string, "")
            uid = fields.read("uid", integer(0, _ID_MAX), 0)
            gid = fields.read("gid", integer(0, _ID_MAX), 0)
            mode = fields.read("mode", permissions, 0o444)
            source = fields.require("source", string, "its-name")
        else:
            source, target, uid, gid, mode = string(node), "", 0, 0, 0o444
        if source not in declared:
            raise _undeclared(node, source, declared, kind)
        stored = declared[source]
        if stored is None or stored.content_base64 is None:
            return None
        return FileMount(
            target=_target(target or source, kind),
            content_base64=stored.content_base64,
            uid=uid,
            gid=gid,
            mode=mode,
            secret=kind == "secrets",
        )


@dataclass(frozen=True, slots=True)
class WrittenFile:
    file: FileMount
    node: Node


def distinct(written: tuple[WrittenFile, ...], taken: MappingOf[str, int], findings: Findings) -> tuple[FileMount, ...]:
    """Each at a path of its own; `taken` are the lines of what volumes mount, by target."""
    lines = dict(taken)
    size = 0
    for item in written:
        target = item.file.target
        if target in lines:
            message = f"line {lines[target]} mounts something at {shown(target)} too, write another 'target'"
            findings.refuse(refused(item.node, message))
        lines.setdefault(target, item.node.place.line)
        size += len(item.file.content)
        if size > SERVICE_BYTES_MAX:
            message = f"more than {SERVICE_BYTES_MAX:,} bytes of configs and secrets in one service, write a volume"
            findings.refuse(refused(item.node, message))
            break
    return tuple(item.file for item in written)


def _of_text(text: str) -> Stored:
    content = text.encode(errors="surrogateescape")
    return Stored(base64.b64encode(content).decode(), len(content))


def _target(written: str, kind: str) -> str:
    if written.startswith("/"):
        return normpath(written)
    return normpath((SECRETS_FOLDER if kind == "secrets" else "/") + written)


def _undeclared(node: Node, name: str, declared: MappingOf[str, object], kind: str) -> ComposeError:
    near = get_close_matches(name, declared, n=1)
    remedy = f"write {near[0]}" if near else f"write '{name}:' below '{kind}:' at the top level"
    return refused(node, f"{shown(name)} is not declared, {remedy}")


def paths_of(root: Node) -> tuple[str, ...]:
    """The files whose contents a stack needs, in order; never raises."""
    found: dict[str, None] = {}
    for kind in ("configs", "secrets"):
        for entry in _entries(_at(root, kind)):
            node = _at(entry.value, "file")
            if isinstance(node, Scalar) and node.text:
                found[node.text] = None
    return tuple(found)


def variables_of(root: Node) -> tuple[str, ...]:
    """The variables that hold contents."""
    named = (_at(entry.value, "environment") for kind in ("configs", "secrets") for entry in _entries(_at(root, kind)))
    return tuple(node.text for node in named if isinstance(node, Scalar))


def _entries(node: Node | None) -> tuple[Entry, ...]:
    return node.entries if isinstance(node, Mapping) else ()


def _at(node: Node | None, key: str) -> Node | None:
    return next((entry.value for entry in _entries(node) if entry.key == key), None)
