"""The kinds of value a configuration has beyond TOML's own: addresses, sizes, paths, names.

Each parser takes what stands in the file, or a ready value, and raises `ValueError` with what would be right.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, PlainValidator, ValidationInfo

from swarmlet.model.compose.quantities import BadQuantity, duration_s
from swarmlet.model.container import CDI_NAME_PATTERN, DEVICE_ID_PATTERN
from swarmlet.model.ids import NAME_PATTERN
from swarmlet.model.observed import Address

API_PORT = 8420
PEER_PORT = 8421
DEVICES_MAX = 10_000
NAMED_DEVICES_MAX = 64
"""Of one kind: their ids are gossiped."""
SIZE_UNITS_BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def parse_address(value: object, default_port: int) -> Address:
    """`IP`, `IP:port`, `IPv6` or `[IPv6]:port`."""
    if isinstance(value, Address):
        return value
    wanted = f'must be an IP address with or without a port, as in "10.77.0.1:{default_port}" or "[fd00::1]"'
    if not isinstance(value, str):
        raise ValueError(wanted)
    host, port = _split(value.strip(), str(default_port))
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        named = ", not a host name" if re.search("[g-zG-Z]", host) else ""
        raise ValueError(wanted + named) from None
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"{wanted}; a port is a number from 1 to 65535")
    return Address(str(ip), int(port))


def _split(text: str, default_port: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":") if rest.startswith(":") else (rest or default_port)
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, default_port


def _ip_only(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError('must be an IP address without a port, as in "0.0.0.0"') from None


def parse_size(value: object) -> int:
    """Bytes, or a number with a unit: "512MiB", "4g". Units are powers of 1024, as in Compose."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = (
        re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", value.strip().lower()) if isinstance(value, str) else None
    )
    if found is None:
        raise ValueError('must be a number of bytes, or a size as in "512MiB" or "4g"')
    return int(float(found[1]) * SIZE_UNITS_BYTES[found[2]])


class NamedDevice(NamedTuple):
    id: str
    """What services ask for and the cluster knows it by; its name where nothing else is said."""
    name: str
    """Its path, or its CDI name: what its node's container engine knows it by."""


def parse_devices(value: object) -> int | tuple[NamedDevice, ...]:
    """How many, or each by its name: an absolute path, or a CDI name; with an id where it has one."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DEVICES_MAX:
        return value
    if isinstance(value, list | tuple) and all(map(_is_device, value)):
        if len(value) > NAMED_DEVICES_MAX:
            raise ValueError(f"names {len(value)} devices, at most {NAMED_DEVICES_MAX} of a kind can have names")
        devices = tuple(_named(each) for each in value)
        for what in ("name", "id"):
            if len({getattr(each, what) for each in devices}) < len(devices):
                raise ValueError(f"{what}s one device twice" if what == "name" else "gives two devices one id")
        return devices
    raise ValueError(
        f"must be how many there are, 0 to {DEVICES_MAX}, or a list of their names: paths like "
        '"/dev/ttyUSB0" or CDI names like "nvidia.com/gpu=0", or { name = "/dev/ttyUSB0", id = "left" }'
    )


def _is_device(value: object) -> bool:
    if isinstance(value, Mapping):
        id_ = value.get("id", "")
        has_id = isinstance(id_, str) and ("id" not in value or re.fullmatch(DEVICE_ID_PATTERN, id_) is not None)
        return value.keys() <= {"name", "id"} and has_id and _is_device(value.get("name"))
    is_name = isinstance(value, str) and re.fullmatch(r"/[^,:\s]+|" + CDI_NAME_PATTERN, value) is not None
    return is_name or isinstance(value, NamedDevice)


def _named(value: object) -> NamedDevice:
    if isinstance(value, NamedDevice):
        return value
    if isinstance(value, Mapping):
        return NamedDevice(value.get("id", value["name"]), value["name"])
    return NamedDevice(str(value), str(value))


def parse_duration(value: object) -> object:
    """Seconds, or a duration as in Compose: "90s", "1m30s", "500ms"."""
    if not isinstance(value, str):
        return value
    try:
        return duration_s(value)
    except BadQuantity as error:
        raise ValueError(str(error)) from None


def parse_path(value: object, info: ValidationInfo) -> Path:
    """A relative path starts at the configuration file; `~` is the user's home."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError('must be a path in quotes, as in "/etc/swarmlet/file"')
    try:
        path = Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"can't be resolved: {error}") from None
    directory = info.context.get("directory") if isinstance(info.context, Mapping) else None
    return directory / path if isinstance(directory, Path) else path


def parse_socket(value: object, info: ValidationInfo) -> Path | None:
    """A Unix socket's path; an empty text means none."""
    return None if value is None or value == "" else parse_path(value, info)


def _check_name(value: str) -> str:
    if not re.fullmatch(NAME_PATTERN, value):
        raise ValueError(
            "must be 1 to 63 of a-z, 0-9, '-' and '_', beginning and ending with a letter or a digit, as in \"node1\""
        )
    return value


def _check_podman_socket(value: str) -> str:
    if not re.fullmatch(r"unix:///.+", value):
        raise ValueError('must be the absolute path of a Unix socket, as in "unix:///run/podman/podman.sock"')
    return value


PeerAddress = Annotated[Address, PlainValidator(lambda value: parse_address(value, PEER_PORT))]
ApiAddress = Annotated[Address, PlainValidator(lambda value: parse_address(value, API_PORT))]
IpAddress = Annotated[str, AfterValidator(_ip_only)]
DurationS = Annotated[float, BeforeValidator(parse_duration)]
Devices = Annotated[int | tuple[NamedDevice, ...], PlainValidator(parse_devices)]
SizeBytes = Annotated[int, BeforeValidator(parse_size)]
FilePath = Annotated[Path, PlainValidator(parse_path)]
SocketPath = Annotated[Path | None, PlainValidator(parse_socket)]
Name = Annotated[str, AfterValidator(_check_name)]
Zone = Annotated[str, AfterValidator(lambda value: value and _check_name(value))]
PodmanSocket = Annotated[str, AfterValidator(_check_podman_socket)]


def toml_text(value: Any) -> str:
    """A value as it would stand in the file."""
    match value:
        case None:
            return '""'
        case bool():
            return "true" if value else "false"
        case Address() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Mapping():
            inside = ", ".join(f"{_key_text(str(key))} = {toml_text(item)}" for key, item in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case list() | tuple():
            return "[" + ", ".join(toml_text(item) for item in value) + "]"
        case _:
            return str(value)


def _key_text(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
