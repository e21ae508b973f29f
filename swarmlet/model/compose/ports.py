"""Published ports: `[ADDRESS:]PUBLISHED:TARGET[/tcp]`, ranges, and the long form.

A port that nothing publishes would only be documentation, and a port published at a number of the engine's choice
could not be the same on every node: both are refused with the line to write. Proxies carry TCP: a UDP port is checked
like any other and then left out, with a warning.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from swarmlet.model.compose.budget import Budget
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Mapping, Node, shown
from swarmlet.model.compose.scalars import integer, one_of, sequence, text
from swarmlet.model.spec import PublishedPort

PORTS_MAX = 1_000
"""Of one stack: each is a listener on every node."""
PORT_MAX = 65_535
_PATTERN = "services.*.ports[]"
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})

port_number: Callable[[Node], int] = integer(1, PORT_MAX)


@dataclass(frozen=True, slots=True)
class WrittenPort:
    """A port with the node that declared it, for faults that only show beside other ports."""

    port: PublishedPort
    node: Node


class PortReader:
    """Reads the ports of all services of a stack, and finds two that listen at the same place."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._count = Budget(PORTS_MAX, "more than {limit} published ports in one stack, write smaller ranges")
        self._taken: dict[int, dict[str, str]] = {}
        """Per number: what services took it, by address."""

    def read(self, node: Node) -> tuple[WrittenPort, ...]:
        found: list[WrittenPort] = []
        for item in sequence(node).items:
            with self._findings.collecting():
                found.extend(WrittenPort(port, item) for port in self._ports(item))
        return tuple(found)

    def take(self, service: str, ports: tuple[WrittenPort, ...]) -> None:
        for written in ports:
            address = written.port.host_address
            others = self._taken.setdefault(written.port.published, {})
            clashing = others if address in _WILDCARDS else others.keys() & {address, *_WILDCARDS}
            if clashing:
                owner = others[next(iter(clashing))]
                message = f"port {written.port.published} is already published by {owner}, write another number"
                self._findings.refuse(refused(written.node, message))
                return
            others[address] = f"services.{service}"

    def _ports(self, item: Node) -> tuple[PublishedPort, ...]:
        if isinstance(item, Mapping):
            self._count.pay(1, item.place, item.path)
            port, protocol = _long(item, self._findings)
            return (port,) if self._is_carried(protocol, item) else ()
        return self._short(item)

    def _is_carried(self, protocol: str, node: Node) -> bool:
        if protocol == "tcp":
            return True
        message = f"{protocol} is not carried by swarmlet's proxies (yet): this port is left out"
        self._findings.warn(node.place, node.path, message)
        return False

    def _short(self, node: Node) -> tuple[PublishedPort, ...]:
        written = text(node)
        body, _, protocol = written.partition("/")
        _protocol(node, protocol or "tcp")
        rest, _, target_text = body.rpartition(":")
        address, _, published_text = rest.rpartition(":")
        targets = _range(node, target_text)
        if not published_text:
            remedy = f'write "{body if rest == "" else target_text}:{target_text}"'
            raise refused(node, f"{shown(written)} has no published port, {remedy} (published first)")
        published = _range(node, published_text)
        if len(published) != len(targets):
            message = (
                f"{shown(written)} publishes {len(published)} ports for {len(targets)}, write ranges of equal length"
            )
            raise refused(node, message)
        host = _address(node, address)
        self._count.pay(len(targets), node.place, node.path)
        if not self._is_carried(protocol or "tcp", node):
            return ()
        return tuple(
            PublishedPort(target=target, published=number, host_address=host)
            for number, target in zip(published, targets, strict=True)
        )


def _long(node: Node, findings: Findings) -> tuple[PublishedPort, str]:
    fields = Fields(node, _PATTERN, findings)
    protocol = fields.read("protocol", lambda value: _protocol(value, text(value)), "tcp")
    fields.read("mode", _check_mode, None)
    host = fields.read("host_ip", lambda value: _address(value, text(value)), "")
    target = fields.require("target", port_number, "80")
    published = fields.require("published", port_number, str(target))
    return PublishedPort(target=target, published=published, host_address=host), protocol


def _range(node: Node, written: str) -> range:
    first_text, dash, last_text = written.partition("-")
    first = _number(node, first_text)
    last = _number(node, last_text) if dash else first
    if last < first:
        raise refused(node, f"the range {shown(written)} ends before it begins, write {last}-{first}")
    return range(first, last + 1)


def _number(node: Node, written: str) -> int:
    number = int(written) if written.isascii() and written.isdigit() and len(written) <= 5 else 0
    if not 1 <= number <= PORT_MAX:
        message = f'{shown(written)} is no port number, write PUBLISHED:TARGET with 1 to {PORT_MAX}, like "8080:80"'
        raise refused(node, message)
    return number


def _address(node: Node, written: str) -> str:
    if not written:
        return ""
    try:
        return str(ip_address(written.removeprefix("[").removesuffix("]")))
    except ValueError as error:
        raise refused(node, f"{shown(written)} is no IP address, write one like 127.0.0.1 or [::1]") from error


def _protocol(node: Node, protocol: str) -> str:
    if protocol not in ("tcp", "udp", "sctp"):
        raise refused(node, f"{shown(protocol)} is no protocol, write tcp")
    return protocol


def _check_mode(node: Node) -> None:
    mode = one_of("ingress", "host")(node)
    if mode == "host":
        message = "mode host is not supported by swarmlet (yet), write ingress: the port then answers on every node"
        raise refused(node, message)
