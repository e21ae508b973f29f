"""What a container is given beside its program: name resolution, limits, devices, rights, files.

Most of it Compose took over from the engines' own options. Everything has a default that means 'as the engine does', so
that a template which asks for none of it stays as small as it was, and keeps its revision.
"""

import base64
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from swarmlet.model.frozen import Frozen

UNLIMITED = -1
Mode = Annotated[int, Field(ge=0, le=0o7777)]


class PullPolicy(StrEnum):
    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


class NetworkMode(StrEnum):
    BRIDGE = "bridge"
    HOST = "host"
    """The node's own network: a task's ports are the node's."""
    NONE = "none"


class Namespace(StrEnum):
    """What a container may share with its node instead of having one of its own."""

    PID = "pid"
    IPC = "ipc"
    UTS = "uts"
    USER = "user"
    CGROUP = "cgroup"


class Ulimit(Frozen):
    name: str
    """As in setrlimit(2), in lower case: `nofile`."""
    soft: int = Field(ge=UNLIMITED)
    hard: int = Field(ge=UNLIMITED)


CDI_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*=[A-Za-z0-9][A-Za-z0-9_.:-]*"
"""`VENDOR/CLASS=NAME`, as the Container Device Interface has it."""
DEVICE_ID_PATTERN = r"[^,\s]{1,200}"
"""By which a node's configuration tells its devices of one kind apart: a path and a CDI name are ids, too."""


class Device(Frozen):
    source: str
    """Path on the node, or the name that its CDI specification has for it."""
    target: str
    permissions: str = "rwm"

    @property
    def is_cdi(self) -> bool:
        """A name says all, then: nothing of the rest counts."""
        return not self.source.startswith("/")


class FileMount(Frozen):
    """A config or a secret: a file in the container that nobody there can write to."""

    target: str
    """Absolute path in the container."""
    content_base64: str = Field(repr=False)
    uid: int = Field(default=0, ge=0)
    gid: int = Field(default=0, ge=0)
    mode: Mode = 0o444
    secret: bool = False
    """Its content is shown to nobody. It is stored as it is, not encrypted (decision 41)."""

    @property
    def content(self) -> bytes:
        return base64.b64decode(self.content_base64)


class Logging(Frozen):
    driver: Literal["file", "none"] = "file"
    size_bytes_max: int = Field(default=0, ge=0)
    """Then the oldest part is dropped; 0: the runtime's own limit."""


class Security(Frozen):
    no_new_privileges: bool = False
    seccomp: str = ""
    """Path of a profile on the node, or `unconfined`; empty: the engine's own."""
    apparmor: str = ""
    selinux: tuple[str, ...] = ()
    """Options of the container's label, like `disable` or `type:container_t`."""
    mask: tuple[str, ...] = ()
    unmask: tuple[str, ...] = ()


class ContainerOptions(Frozen):
    init: bool = False
    """A small init process reaps what the program leaves behind."""
    hostname: str = ""
    domainname: str = ""
    extra_hosts: tuple[str, ...] = ()
    """`NAME:ADDRESS`, for /etc/hosts."""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    network: NetworkMode = NetworkMode.BRIDGE
    host_namespaces: tuple[Namespace, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: dict[str, str] = Field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    group_add: tuple[str, ...] = ()
    privileged: bool = False
    security: Security = Security()
    shm_size_bytes: int = Field(default=0, ge=0)
    """Of /dev/shm; 0: the engine's own."""
    cpu_shares: int = Field(default=0, ge=0)
    cpuset: str = ""
    oom_score_adj: int = Field(default=0, ge=-1000, le=1000)
    stop_signal: int = Field(default=0, ge=0, le=64)
    """0: the image's own, or SIGTERM."""
    tty: bool = False
    stdin_open: bool = False
    annotations: dict[str, str] = Field(default_factory=dict)
    logging: Logging = Logging()

    def canonical(self) -> "ContainerOptions":
        """Mappings sorted: their order says nothing."""
        return self.model_copy(
            update={
                "sysctls": dict(sorted(self.sysctls.items())),
                "annotations": dict(sorted(self.annotations.items())),
            }
        )
