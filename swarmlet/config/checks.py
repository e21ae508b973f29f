"""What a file alone can't tell: whether this host has the addresses, whether the data directory is this node's.

Nothing is written and nothing stays open. What was free here may be taken later; the agent finds that out itself.
"""

import errno
import socket

from swarmlet.config.rules import is_wildcard
from swarmlet.config.settings import Config
from swarmlet.model.observed import Address
from swarmlet.storage.errors import DirectoryDamaged, DirectoryOwned
from swarmlet.storage.identity import check_owner

ELSEWHERE = {socket.AF_INET: Address("192.0.2.1", 9), socket.AF_INET6: Address("2001:db8::1", 9)}
"""Documentation addresses (RFC 5737, RFC 3849): nothing is sent there, only the way there is looked up."""
UNIX_CONNECT_TIMEOUT_S = 1.0


def check_addresses(config: Config) -> None:
    """Raises `ConfigError` when an address to listen on is not this host's, is in use or is not allowed."""
    _try_to_bind(config, "address", config.address, socket.SOCK_STREAM)
    _try_to_bind(config, "address", config.address, socket.SOCK_DGRAM)
    _try_to_bind(config, "api.listen", config.api.listen, socket.SOCK_STREAM)
    _look_for_listener(config)
    advertised_address(config)


def check_data_dir(config: Config) -> None:
    """Raises `ConfigError` for a data directory that is another node's or cluster's, or can't be read."""
    try:
        check_owner(config.data_dir, config.cluster, config.name)
    except DirectoryOwned as error:
        raise config.error(
            "data_dir",
            f'belongs to {error.what} {error.owner!r}: set {error.what} = "{error.owner}", or give this node its own',
        ) from error
    except DirectoryDamaged as error:
        raise config.error("data_dir", f"can't be used: {error}") from error
    except OSError as error:
        raise config.error("data_dir", f"can't be used: {error.strerror or error}") from error


def advertised_address(config: Config) -> Address:
    """Where peers reach this node. Raises `ConfigError` when it has to be found out and can't be."""
    if config.advertise is not None:
        return config.advertise
    if not is_wildcard(config.address.host):
        return config.address
    family = _family(config.address)
    toward = next((peer for peer in config.join if _family(peer) == family), ELSEWHERE[family])
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(tuple(toward))
        except OSError as error:
            problem = f"leaves open where peers reach this node, and there is no way to {toward.host} to tell"
            raise config.error("address", f"{problem} ({error.strerror}): give this host's own address") from error
        host: str = probe.getsockname()[0]
    return Address(host, config.address.port)


def _try_to_bind(config: Config, key: str, address: Address, kind: socket.SocketKind) -> None:
    protocol = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
    try:
        with socket.socket(_family(address), kind) as probe:
            if kind == socket.SOCK_STREAM:
                # As servers do: a connection that lingers after the last agent is no reason to refuse.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(tuple(address))
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
    except OSError as error:
        raise config.error(key, _why_not(error, address, protocol)) from error


def _why_not(error: OSError, address: Address, protocol: str) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"is in use on {protocol} by another process: end that one or choose another port"
        case errno.EADDRNOTAVAIL:
            return f"is not an address of this host: give one that `ip address` shows, in place of {address.host}"
        case errno.EACCES | errno.EPERM:
            return f"is not allowed to this user on {protocol}: choose a port above 1023"
        case errno.EAFNOSUPPORT:
            return "is of a kind that this host does not support: give an IPv4 address"
        case _:
            return f"can't be bound on {protocol}: {error.strerror or error}"


def _look_for_listener(config: Config) -> None:
    """A socket file may be left from an earlier run; one that somebody answers on is in use."""
    path = config.api.unix
    if path is None or not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(UNIX_CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise config.error("api.unix", "is in use by another process: end that one or choose another path")


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET
