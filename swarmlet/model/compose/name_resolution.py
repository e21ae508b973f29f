"""What a container is called and what it calls others: `hostname`, `domainname`, `extra_hosts`, `dns` and the like."""

import re
from ipaddress import ip_address

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.marks import Mapping, Node, Sequence, shown
from swarmlet.model.compose.scalars import sequence, string, text, texts

HOST_GATEWAY = "host-gateway"
"""Compose's word for the host itself, which engines know too."""
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_LENGTH_MAX = 253
"""RFC 1123 and RFC 1035: of a whole name; a label has 63."""
KERNEL_NAME_MAX = 64
"""What sethostname(2) and setdomainname(2) take."""


def host_name(node: Node) -> str:
    """RFC 1123, with `_` allowed as engines do."""
    return _named(node, string(node))


def kernel_name(node: Node) -> str:
    name = host_name(node)
    if len(name) > KERNEL_NAME_MAX:
        raise refused(node, f"{shown(name)} has more than {KERNEL_NAME_MAX} characters, write a shorter name")
    return name


def name_servers(node: Node) -> tuple[str, ...]:
    return tuple(_address(item, text(item)) for item in _items(node))


def search_domains(node: Node) -> tuple[str, ...]:
    # A single dot means 'none at all' to resolvers.
    return tuple(name if (name := string(item)) == "." else _named(item, name) for item in _items(node))


def resolver_options(node: Node) -> tuple[str, ...]:
    sequence(node)
    for item, option in zip(_items(node), texts(node), strict=True):
        if not re.fullmatch(r"[a-z0-9-]+(:[0-9]+)?", option):
            raise refused(item, f"{shown(option)} is no option of resolv.conf(5), write one like ndots:2")
    return texts(node)


def extra_hosts(node: Node) -> tuple[str, ...]:
    """`NAME:ADDRESS` for each, in order."""
    found: list[str] = []
    if isinstance(node, Mapping):
        for entry in node.entries:
            found += [_host(item, entry.key, text(item)) for item in _items(entry.value)]
    else:
        for item in sequence(node).items:
            written = string(item)
            name, mark, address = written.partition("=") if "=" in written else written.partition(":")
            if not mark:
                raise refused(item, f"{shown(written)} has no address, write NAME=ADDRESS")
            found.append(_host(item, name, address))
    return tuple(dict.fromkeys(found))


def _host(node: Node, name: str, address: str) -> str:
    address = address.strip()
    return f"{_named(node, name.strip())}:{address if address == HOST_GATEWAY else _address(node, address)}"


def _items(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else (node,)


def _named(node: Node, name: str) -> str:
    if not _HOST_NAME.fullmatch(name) or len(name) > _LENGTH_MAX:
        raise refused(node, f"{shown(name)} is no host name, write letters, digits, - and dots, like db.example.org")
    return name


def _address(node: Node, written: str) -> str:
    try:
        return str(ip_address(written.removeprefix("[").removesuffix("]")))
    except ValueError as error:
        raise refused(node, f"{shown(written)} is no IP address, write one like 10.0.0.53") from error
