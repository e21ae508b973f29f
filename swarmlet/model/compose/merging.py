"""Two trees made one by Compose's rules: of several files, of a service and the one it extends.

Source: https://github.com/compose-spec/compose-spec/blob/main/13-merge.md. Mappings are merged key by key, lists are
appended, a value replaces the one before it. Keys that have a short and a long form are brought into one form first;
lists whose items have a key of their own (a volume's target, a variable's name) keep the later item of each key, at
the earlier one's place. `!reset` takes a key out, `!override` puts a value in place of all that was there before.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from posixpath import join

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.keys import below_pattern
from swarmlet.model.compose.marks import Entry, Mapping, Node, Scalar, Sequence, Tag, is_null

Merge = Callable[[Node, Node, str], Node]
Key = Callable[[Node], str]


def merge(base: Node, over: Node, pattern: str) -> Node:
    """`over`, from the later file, merged into `base`; `pattern` says which key's values they are."""
    if over.tag is Tag.OVERRIDE:
        return over
    special = _SPECIAL.get(pattern)
    merged = special(base, over, pattern) if special else _plain(base, over, pattern)
    return _unique(merged, pattern)


def settled(node: Node) -> Node:
    """Without the keys that were to be reset, and without tags: nothing is merged into it any more."""
    match node:
        case Mapping():
            kept = tuple(
                entry if (value := settled(entry.value)) is entry.value else replace(entry, value=value)
                for entry in node.entries
                if entry.value.tag is not Tag.RESET
            )
            same = len(kept) == len(node.entries) and all(map(_is, kept, node.entries)) and node.tag is Tag.MERGE
            return node if same else replace(node, entries=kept, tag=Tag.MERGE)
        case Sequence():
            items = tuple(map(settled, node.items))
            same = all(map(_is, items, node.items)) and node.tag is Tag.MERGE
            return node if same else replace(node, items=items, tag=Tag.MERGE)
        case Scalar():
            return node if node.tag is Tag.MERGE else replace(node, tag=Tag.MERGE)


def _is(one: object, other: object) -> bool:
    return one is other


def _plain(base: Node, over: Node, pattern: str) -> Node:
    if is_null(base) or isinstance(base, Scalar):
        return over
    if is_null(over):
        return base
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return _mappings(base, over, pattern)
    if isinstance(base, Sequence) and isinstance(over, Sequence):
        return replace(base, items=(*base.items, *over.items))
    message = f"{over.kind} cannot be merged into {base.kind} ({base.place}), write {base.kind}, or !override before it"
    raise refused(over, message)


def _mappings(base: Mapping, over: Mapping, pattern: str) -> Mapping:
    merged = {entry.key: entry for entry in base.entries}
    for entry in over.entries:
        before = merged.get(entry.key)
        if entry.value.tag is Tag.RESET:
            merged.pop(entry.key, None)
        elif before is None:
            merged[entry.key] = entry
        else:
            value = merge(before.value, entry.value, below_pattern(pattern, entry.key))
            merged[entry.key] = Entry(entry.key, entry.key_place, value)
    return replace(base, entries=tuple(merged.values()))


def _later(_base: Node, over: Node, _pattern: str) -> Node:
    return over


def _later_unless_both_mappings(base: Node, over: Node, pattern: str) -> Node:
    both = isinstance(base, Mapping) and isinstance(over, Mapping)
    return _plain(base, over, pattern) if both else over


def _by_name(base: Node, over: Node, pattern: str) -> Node:
    """Names with values, as a mapping or as a list of NAME=value."""
    return _in_one_form(_as_pairs, base, over, pattern)


def _appended(base: Node, over: Node, pattern: str) -> Node:
    """One value or a list of them."""
    return _in_one_form(_as_list, base, over, pattern)


def _hosts(base: Node, over: Node, pattern: str) -> Node:
    return _in_one_form(_as_hosts, base, over, pattern)


def _names(base: Node, over: Node, pattern: str) -> Node:
    """A list of names, or a mapping with more about each."""
    return _in_one_form(lambda node: _as_mapping(node, _null), base, over, pattern)


def _dependencies(base: Node, over: Node, pattern: str) -> Node:
    return _in_one_form(lambda node: _as_mapping(node, _started), base, over, pattern)


def _build(base: Node, over: Node, pattern: str) -> Node:
    return _in_one_form(_as_build, base, over, pattern)


def _same_kind_of(key: str) -> Merge:
    """Merged where both say the same of `key` (a driver, say); options of one have no meaning for another."""

    def merged(base: Node, over: Node, pattern: str) -> Node:
        one, other = _value(base, key), _value(over, key)
        return over if one and other and one != other else _plain(base, over, pattern)

    return merged


def _in_one_form(form: Callable[[Node], Node], base: Node, over: Node, pattern: str) -> Node:
    return _plain(form(base), form(over), pattern)


def _as_pairs(node: Node) -> Node:
    if not isinstance(node, Sequence) or not all(isinstance(item, Scalar) for item in node.items):
        return node
    return Mapping(node.place, node.path, tuple(_pair(item) for item in node.items if isinstance(item, Scalar)))


def _pair(item: Scalar) -> Entry:
    name, equals, value = item.text.partition("=")
    return Entry(name, item.place, replace(item, text=value, plain=False) if equals else _null(item))


def _as_list(node: Node) -> Node:
    return Sequence(node.place, node.path, (node,)) if isinstance(node, Scalar) and not is_null(node) else node


def _as_hosts(node: Node) -> Node:
    if not isinstance(node, Mapping):
        return node
    items: list[Node] = []
    for entry in node.entries:
        addresses = entry.value.items if isinstance(entry.value, Sequence) else (entry.value,)
        items += [
            replace(address, text=f"{entry.key}={address.text}", plain=False)
            if isinstance(address, Scalar)
            else address
            for address in addresses
        ]
    return Sequence(node.place, node.path, tuple(items))


def _as_mapping(node: Node, value: Callable[[Scalar], Node]) -> Node:
    if not isinstance(node, Sequence):
        return node
    names = {item.text: item for item in node.items if isinstance(item, Scalar)}
    return Mapping(node.place, node.path, tuple(Entry(name, item.place, value(item)) for name, item in names.items()))


def _null(item: Scalar) -> Scalar:
    return Scalar(item.place, item.path, "", plain=True)


def _started(item: Scalar) -> Node:
    condition = Scalar(item.place, item.path, "service_started", plain=True)
    return Mapping(item.place, item.path, (Entry("condition", item.place, condition),))


def _as_build(node: Node) -> Node:
    is_context = isinstance(node, Scalar) and not is_null(node)
    return Mapping(node.place, node.path, (Entry("context", node.place, node),)) if is_context else node


def _value(node: Node, key: str) -> str:
    entries: Iterable[Entry] = node.entries if isinstance(node, Mapping) else ()
    return next((e.value.text for e in entries if e.key == key and isinstance(e.value, Scalar)), "")


def _unique(node: Node, pattern: str) -> Node:
    """The list with the last item of each key, where its first one stood."""
    key = _UNIQUE.get(pattern)
    if key is None or not isinstance(node, Sequence):
        return node
    kept: dict[str, Node] = {}
    for at, item in enumerate(node.items):
        kept[key(item) or f"\0{at}"] = item
    return node if len(kept) == len(node.items) else replace(node, items=tuple(kept.values()))


def _text(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _name(node: Node) -> str:
    return _text(node).partition("=")[0]


def _path(node: Node) -> str:
    return _text(node) or _value(node, "path")


def _port(node: Node) -> str:
    """Address, published and target port and protocol, whichever form they are written in."""
    if isinstance(node, Scalar):
        body, _, protocol = node.text.partition("/")
        rest, _, target = body.rpartition(":")
        address, _, published = rest.rpartition(":")
    else:
        address, published, target, protocol = (_value(node, key) for key in _PORT_KEYS)
    return "\0".join((address, published, target, protocol or "tcp"))


def _target(node: Node) -> str:
    """Of `SOURCE:TARGET[:OPTIONS]`, or of the long form."""
    parts = _text(node).split(":")
    return (parts[0] if len(parts) == 1 else parts[1]).rstrip("/") or _value(node, "target").rstrip("/")


def _mounted_below(folder: str) -> Key:
    """Of a config or a secret: its target, which by default is named after its source and lies in `folder`."""

    def key(node: Node) -> str:
        return join(folder, _text(node) or _value(node, "target") or _value(node, "source"))

    return key


_PORT_KEYS = ("host_ip", "published", "target", "protocol")
_SERVICE = "services.*"
_SPECIAL: dict[str, Merge] = {
    **{f"{_SERVICE}.{key}": _later for key in ("command", "entrypoint", "healthcheck.test")},
    **{
        f"{_SERVICE}.{key}": _by_name
        for key in (
            *("annotations", "environment", "labels", "sysctls", "storage_opt"),
            *("build.args", "build.labels", "build.additional_contexts", "deploy.labels"),
        )
    },
    **{f"{kind}.*.labels": _by_name for kind in ("volumes", "networks", "secrets", "configs")},
    **{
        f"{_SERVICE}.{key}": _appended
        for key in ("dns", "dns_opt", "dns_search", "env_file", "label_file", "tmpfs", "group_add")
    },
    **{f"{_SERVICE}.{key}": _hosts for key in ("extra_hosts", "build.extra_hosts")},
    **{f"{_SERVICE}.{key}": _names for key in ("networks", "models")},
    f"{_SERVICE}.depends_on": _dependencies,
    f"{_SERVICE}.build": _build,
    f"{_SERVICE}.logging": _same_kind_of("driver"),
    f"{_SERVICE}.provider": _same_kind_of("type"),
    f"{_SERVICE}.ulimits.*": _later_unless_both_mappings,
    f"{_SERVICE}.extends": _later_unless_both_mappings,
}
_UNIQUE: dict[str, Key] = {
    **{
        f"{_SERVICE}.{key}": _name
        for key in ("cap_add", "cap_drop", "dns", "dns_opt", "dns_search", "tmpfs", "links", "group_add", "extra_hosts")
    },
    **{f"{_SERVICE}.{key}": _text for key in ("expose", "profiles", "label_file", "security_opt", "extra_hosts")},
    f"{_SERVICE}.env_file": _path,
    f"{_SERVICE}.ports": _port,
    **{f"{_SERVICE}.{key}": _target for key in ("volumes", "devices")},
    f"{_SERVICE}.configs": _mounted_below("/"),
    f"{_SERVICE}.secrets": _mounted_below("/run/secrets"),
}
