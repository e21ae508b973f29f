"""The agent's configuration as one typed, frozen model. The description of each field is its documentation:
`swarmlet config example` is made of it.

Rules:
- Every key is optional but `name` and `address`. What is not given is derived here, once.
- A file with an unknown key, a value of a wrong type or a contradiction is refused with one line.
- Reading a configuration writes nothing.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from swarmlet.config.errors import ConfigError
from swarmlet.config.reading import Source, read_model
from swarmlet.config.rules import first_broken_rule
from swarmlet.config.values import (
    API_PORT,
    ApiAddress,
    Devices,
    DurationS,
    FilePath,
    IpAddress,
    Name,
    PeerAddress,
    PodmanSocket,
    SizeBytes,
    SocketPath,
    Zone,
    toml_text,
)
from swarmlet.model.observed import Address

MIB = 1024 * 1024
DERIVED = Path()
"""Stands in a field until `Config` has derived its value from the others."""
JOIN_MAX = 100
LABELS_MAX = 100
DEVICE_KINDS_MAX = 32

DeviceKind = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?$")]

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=False)


class ApiSettings(Section):
    """The HTTP API and the dashboard of this node."""

    listen: ApiAddress = Field(
        default=Address("127.0.0.1", API_PORT),
        description="Where the HTTP API listens: IP and port. An address other than a loopback one needs `token_file`.",
    )
    unix: SocketPath = Field(
        default=DERIVED,
        description="The Unix socket on which the API listens too, for the agent's own user alone. "
        'Not given: `api.sock` in the data directory. "" for none.',
        examples=["/var/lib/swarmlet/api.sock"],
    )
    token_file: FilePath | None = Field(
        default=None,
        description="A file (mode 0600) with the token that every request over TCP has to carry. Not given: none is "
        "asked for, and the API stays on loopback.",
        examples=["api.token"],
    )


class RuntimeSettings(Section):
    """What runs the containers."""

    kind: Literal["auto", "podman", "process"] = Field(
        default="auto",
        description='"podman" runs containers, "process" plain processes out of `images_dir`; "auto" takes Podman '
        "where its socket answers, processes elsewhere.",
    )
    podman_socket: PodmanSocket = Field(
        default="unix:///run/podman/podman.sock",
        description="The socket of Podman's service. Without root it is usually "
        "unix:///run/user/UID/podman/podman.sock.",
    )
    images_dir: FilePath = Field(
        default=DERIVED,
        description="For processes: each image is a directory in here, with its programs in `bin/`. Not given: "
        "`images` in the data directory.",
        examples=["/var/lib/swarmlet/images"],
    )
    workers: int = Field(
        default=4, ge=1, le=64, description="Requests to the container engine that are under way at the same time."
    )


class ProxySettings(Section):
    """The ports that services publish; they listen on every node."""

    listen_address: IpAddress = Field(
        default="0.0.0.0", description="The local address on which published ports listen, unless a service names one."
    )
    drain_s: float = Field(
        default=1.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="How long open connections of a task that is to stop may go on before it is told to end; it gets "
        "no new ones meanwhile.",
    )


class GossipTiming(Section):
    """Who is alive. The defaults are for a local network; every node should have the same."""

    probe_interval_s: Seconds = Field(default=0.5, description="A node probes one other this often.")
    probe_timeout_s: Seconds = Field(
        default=0.2,
        description="An answer that takes longer makes it ask others to probe; shorter where round trips are shorter.",
    )
    indirect_probes: int = Field(default=3, ge=0, le=10, description="How many others are asked then.")
    suspicion_s: Seconds = Field(
        default=2.0,
        description="How long a node that did not answer is suspected before it counts as dead, in a cluster of three. "
        "Grows with the logarithm of the cluster's size and shrinks as others suspect it too.",
    )
    compress: bool = Field(
        default=True,
        description="Whether this node compresses what it sends when it compares its whole state with a peer's: about "
        "a quarter of the bytes. Every node reads both.",
    )


class RaftTiming(Section):
    """Agreement. The defaults are for a local network; every node should have the same."""

    heartbeat_s: Seconds = Field(default=0.1, description="The leader sends to every peer this often.")
    election_min_s: Seconds = Field(
        default=0.5,
        description="A voter without word from the leader calls an election after a random time, no shorter than this.",
    )
    election_max_s: Seconds = Field(
        default=1.0, description="And not longer than this. Random, so that voters seldom call one together."
    )
    reads: Literal["read-index", "lease"] = Field(
        default="read-index",
        description="How a linearizable read makes sure that its leader still leads: by asking a majority, or by a "
        "lease that the last answers of a majority gave it, which is faster and safe only while clocks run at about "
        "the same rate and no host is suspended; a killed leader is then replaced later. The same on every node.",
    )
    lease_margin: float = Field(
        default=0.25,
        ge=0.0,
        lt=1.0,
        allow_inf_nan=False,
        description="With leases: the part of `election_min_s` that a lease leaves out for clocks that run at "
        "different rates. 0.25 allows for one that is a third faster than another.",
    )
    snapshot_every: int = Field(
        default=50_000, ge=100, le=1_000_000, description="Log entries after which the log is compacted to a snapshot."
    )


class AutopilotSettings(Section):
    """Who votes, while people leave it to the cluster (`swarmlet voters`). Every node should have the same."""

    dead_after: DurationS = Field(
        default=10.0,
        gt=0,
        le=86_400,
        allow_inf_nan=False,
        description="A voter that has been dead for so long gives its place to another node: seconds, or a duration as "
        'in "90s" or "5m". Longer than an agent takes to restart; shorter than the time to a second failure.',
    )


class SchedulingSettings(Section):
    """Where tasks run. Every node should have the same."""

    rebalance: Literal["off", "gentle"] = Field(
        default="off",
        description='"gentle": in a cluster at rest the leader moves one task at a time to where it would be placed '
        "today, for the sake of evenness or of people's wishes; its successor starts first. `swarmlet rebalance` does "
        'so at once, whatever this says. "off": tasks stay where they are.',
    )


class StoreSettings(Section):
    """What the cluster agrees on. Every node should have the same."""

    size_max: SizeBytes = Field(
        default=512 * MIB,
        ge=MIB,
        le=1536 * MIB,
        description="The store's total size, as bytes or with a unit. Writes beyond it are refused, but for those that "
        "free room. A node needs about two and a half times as much memory, when the store is full.",
        examples=["512MiB"],
    )


class OfferedResources(Section):
    """What this node offers to tasks, where that is not all it has."""

    cpus: float | None = Field(
        default=None,
        gt=0,
        le=4096,
        allow_inf_nan=False,
        description="CPUs, fractions allowed. Not given: all that the runtime reports.",
        examples=[3.5],
    )
    memory: SizeBytes | None = Field(
        default=None,
        ge=1,
        description="Memory, as bytes or with a unit. Not given: all that the runtime reports.",
        examples=["6GiB"],
    )
    devices: dict[DeviceKind, Devices] = Field(
        default_factory=dict,
        max_length=DEVICE_KINDS_MAX,
        description="What it has in pieces, by kind: GPUs and whatever else services reserve (`reservations.devices`, "
        "`generic_resources`). A list of names, paths or CDI names: each task gets its own of them; `device_ids` asks "
        'for one by its name, or by its id where it has one: `{ name = "/dev/ttyUSB0", id = "left" }`. A number: they '
        "are counted, and a task gets at them by its `devices`.",
        examples=[{"gpu": ["nvidia.com/gpu=0", "nvidia.com/gpu=1"], "licence": 3}],
    )

    @property
    def device_counts(self) -> dict[str, int]:
        return {kind: len(has) if isinstance(has, tuple) else has for kind, has in self.devices.items()}

    @property
    def named_devices(self) -> dict[str, dict[str, str]]:
        """By kind and id, their names."""
        named = {kind: has for kind, has in self.devices.items() if isinstance(has, tuple)}
        return {kind: {device.id: device.name for device in has} for kind, has in named.items()}


class LogSettings(Section):
    """The agent's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least that is logged.")
    format: Literal["text", "json"] = Field(default="text", description="Lines for people, or JSON objects.")


class Config(Section):
    name: Name = Field(
        description="What people call this node; no two nodes of a cluster may have the same.", examples=["node1"]
    )
    cluster: Name = Field(
        default="swarmlet", description="The cluster's name, the same on all its nodes. Others are not talked to."
    )
    address: PeerAddress = Field(
        description="Where this node and its peers talk, UDP and TCP: an IP address of this host and a port (8421 "
        "where none is given). An address other than a loopback one needs `key_file`.",
        examples=["10.77.0.1:8421"],
    )
    advertise: PeerAddress | None = Field(
        default=None,
        description="Where peers reach this node, if not at `address`. Not given: `address`; where that is 0.0.0.0 or "
        "[::], the address of this host's way to its peers.",
        examples=["10.77.0.1:8421"],
    )
    data_dir: FilePath = Field(
        default=DERIVED,
        description="What the node remembers: who it is, the cluster's log. Its own, never shared. Not given: "
        "/var/lib/swarmlet for root, ~/.local/share/swarmlet/NAME for others.",
        examples=["/var/lib/swarmlet"],
    )
    key_file: FilePath | None = Field(
        default=None,
        description="The cluster's key, which seals all that peers say to each other: make it once with `swarmlet "
        "keygen` and copy it to every node (mode 0600). May hold several, one a line: the first one seals, all are "
        "accepted; `swarmlet keyring` replaces the file. Not given: one is made in the data directory, for a node "
        "whose address is a loopback one.",
        examples=["cluster.key"],
    )
    bootstrap: bool = Field(
        default=False,
        description="Start a new cluster with this node alone; others join it. For one node only, and ignored by a "
        "node that belongs to a cluster already.",
    )
    bootstrap_expect: int = Field(
        default=0,
        ge=0,
        le=99,
        description="Start a new cluster together: set it to the same number on that many nodes, and let them find "
        "each other through `join`. 0: no.",
    )
    join: tuple[PeerAddress, ...] = Field(
        default=(),
        strict=False,
        max_length=JOIN_MAX,
        description="Peers through which to find the cluster; one that answers is enough. Tried for ever while none "
        "does.",
        examples=[["10.77.0.2:8421", "10.77.0.3:8421"]],
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        max_length=LABELS_MAX,
        description="Free words about this node.",
        examples=[{"disk": "ssd", "owner": "team-a"}],
    )
    zone: Zone = Field(
        default="",
        description="The failure domain that this node is in: a rack, a room, a data centre. Voters are spread over "
        'the zones. "": a domain of its own.',
        examples=["rack1"],
    )
    api: ApiSettings = Field(default_factory=ApiSettings)
    runtime: RuntimeSettings = Field(default_factory=RuntimeSettings)
    proxy: ProxySettings = Field(default_factory=ProxySettings)
    gossip: GossipTiming = Field(default_factory=GossipTiming)
    raft: RaftTiming = Field(default_factory=RaftTiming)
    autopilot: AutopilotSettings = Field(default_factory=AutopilotSettings)
    scheduling: SchedulingSettings = Field(default_factory=SchedulingSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    resources: OfferedResources = Field(default_factory=OfferedResources)
    log: LogSettings = Field(default_factory=LogSettings)

    _source: Source = PrivateAttr(default=Source(Path("(no file)"), ""))

    @classmethod
    def load(cls, path: Path, settings: Sequence[str] = ()) -> Self:
        """Read and check a file; `settings` are `KEY=VALUE` texts that override it. Raises `ConfigError`."""
        return cls.parse(Source.read(path, settings))

    @classmethod
    def parse(cls, source: Source) -> Self:
        """Raises `ConfigError`."""
        config = read_model(cls, source)
        config._source = source
        broken = first_broken_rule(config)
        if broken is not None:
            raise config.error(*broken)
        return config

    @property
    def file(self) -> Path:
        return self._source.file

    @property
    def cluster_key_path(self) -> Path:
        """Where the cluster's key is; with no `key_file` given, where the agent makes its own."""
        return self.key_file or self.data_dir / "cluster.key"

    def error(self, key: str, message: str) -> ConfigError:
        """An error about one of the keys, with its value and its place in the file."""
        value: Any = self
        for part in key.split("."):
            value = getattr(value, part)
        shown = "" if value is None else toml_text(value)
        return self._source.error(key, shown, message)

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, given: Any) -> Any:
        """Fill in the paths that follow from others. What is wrong is left for the fields to say."""
        if not isinstance(given, dict):
            return given
        data_dir = given.get("data_dir", default_data_dir(str(given.get("name", "")), os.geteuid()))
        if not isinstance(data_dir, str | Path) or not str(data_dir):
            return given
        return {
            **given,
            "data_dir": data_dir,
            "api": _with_path(given.get("api", {}), "unix", Path(data_dir, "api.sock")),
            "runtime": _with_path(given.get("runtime", {}), "images_dir", Path(data_dir, "images")),
        }


def default_data_dir(name: str, effective_user_id: int) -> Path:
    if effective_user_id == 0:
        return Path("/var/lib/swarmlet")
    return Path("~/.local/share/swarmlet", name)


def _with_path(section: Any, key: str, path: Path) -> Any:
    match section:
        case Mapping() if key not in section:
            return {**section, key: path}
        case Section() if key not in section.model_fields_set:
            return section.model_copy(update={key: path.expanduser()})
        case _:
            return section
