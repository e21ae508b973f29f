"""Bounds of a container by the kernel's own names: `ulimits`, `cpuset`, `stop_signal`; and of its output: `logging`."""

import re
import signal
from collections.abc import Callable
from difflib import get_close_matches

from swarmlet.model.compose.errors import refused, refused_key
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Entry, Mapping, Node, below, is_null, shown
from swarmlet.model.compose.quantities import BadQuantity, size_bytes
from swarmlet.model.compose.scalars import integer, mapping, size, string, text
from swarmlet.model.container import UNLIMITED, Logging, PullPolicy, Ulimit

_ULIMITS = "services.*.ulimits.*"
_LOGGING = "services.*.logging"
LIMITS = frozenset(
    {
        *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
        *("rttime", "sigpending", "stack"),
    }
)
"""setrlimit(2), without `as`, which no engine takes."""
LOG_BYTES_MAX = 10 * 1024 * 1024
"""Of one container, on its node: `logging` may ask for less, not for more."""
_FILE_DRIVERS = ("json-file", "local", "k8s-file")
_CPUSET = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*")
_VALUE = integer(UNLIMITED, 2**63 - 1)
_REFRESHING = re.compile(r"refresh|daily|weekly|every_([0-9]+[wdhms])+")


def read_ulimits(node: Node, findings: Findings) -> tuple[Ulimit, ...]:
    found: list[Ulimit] = []
    for entry in mapping(node).entries:
        with findings.collecting():
            found.append(_ulimit(entry, node.path, findings))
    return tuple(sorted(found, key=lambda limit: limit.name))


def _ulimit(entry: Entry, path: str, findings: Findings) -> Ulimit:
    if entry.key not in LIMITS:
        near = get_close_matches(entry.key, LIMITS, n=1)
        remedy = f"write {near[0]}" if near else f"write one of {', '.join(sorted(LIMITS))}"
        raise refused_key(path, entry.key, entry.key_place, f"no limit of this name, {remedy}")
    if not isinstance(entry.value, Mapping):
        value = _VALUE(entry.value)
        return Ulimit(name=entry.key, soft=value, hard=value)
    fields = Fields(entry.value, _ULIMITS, findings)
    soft, hard = fields.require("soft", _VALUE, "1024"), fields.require("hard", _VALUE, "2048")
    if hard != UNLIMITED and (soft == UNLIMITED or soft > hard):
        raise refused(entry.value, f"the soft limit {soft} is above the hard one {hard}, write at most that")
    return Ulimit(name=entry.key, soft=soft, hard=hard)


def read_cpuset(node: Node) -> str:
    written = text(node)
    if not _CPUSET.fullmatch(written):
        raise refused(node, f"{shown(written)} is no set of processors, write numbers and ranges, like 0-3 or 0,1")
    return written


def read_signal(node: Node) -> int:
    written = text(node)
    if written.isascii() and written.isdigit() and len(written) <= 2:
        number = int(written)
    else:
        number = _named_signal(written.upper())
    if not 1 <= number <= 64:
        raise refused(node, f"{shown(written)} is no signal, write one of signal(7), like SIGINT")
    return number


def _named_signal(name: str) -> int:
    name = name if name.startswith("SIG") else f"SIG{name}"
    real_time = re.fullmatch(r"SIGRT(MIN\+|MAX-)([0-9]{1,2})", name)
    if real_time:
        by = int(real_time.group(2))
        return 34 + by if real_time.group(1) == "MIN+" else 64 - by
    return int(signal.Signals.__members__.get(name, 0))


def read_shm_size(node: Node) -> int:
    found = size(node)
    if found < 1:
        raise refused(node, "must be more than 0, write a size like 64m")
    return found


def read_logging(node: Node, findings: Findings) -> Logging:
    if is_null(node):
        return Logging()
    fields = Fields(node, _LOGGING, findings)
    driver = fields.read("driver", string, "json-file")
    written = fields.value("driver")
    if driver == "none":
        return Logging(driver="none")
    if driver not in _FILE_DRIVERS and written is not None:
        message = f"{shown(driver)} is not used: output is kept on its node and read with `swarmlet logs`"
        findings.warn(written.place, written.path, message)
    return Logging(size_bytes_max=fields.read("options", _log_size(findings), 0))


def _log_size(findings: Findings) -> Callable[[Node], int]:
    def reader(node: Node) -> int:
        limit = 0
        for entry in mapping(node).entries:
            if entry.key != "max-size":
                path = below(node.path, entry.key)
                findings.warn(entry.key_place, path, "has no effect, only max-size has: one file a task is kept")
                continue
            try:
                limit = size_bytes(text(entry.value))
            except BadQuantity as error:
                raise refused(entry.value, str(error)) from error
            if limit < 1:
                raise refused(entry.value, "must be more than 0, write a size like 1m")
            if limit > LOG_BYTES_MAX:
                message = f"no more than {LOG_BYTES_MAX >> 20}m of a task's output are kept, write that or less"
                findings.warn(entry.value.place, entry.value.path, message)
                limit = LOG_BYTES_MAX
        return limit

    return reader


def read_pull_policy(findings: Findings) -> Callable[[Node], PullPolicy]:
    def reader(node: Node) -> PullPolicy:
        written = string(node)
        if written in ("missing", "if_not_present"):
            return PullPolicy.MISSING
        if written in ("always", "never"):
            return PullPolicy(written)
        if written == "build":
            findings.warn(node.place, node.path, "images are not built here, taken as 'missing'")
            return PullPolicy.MISSING
        if _REFRESHING.fullmatch(written):
            findings.warn(node.place, node.path, f"{shown(written)} is taken as 'always': at each new container")
            return PullPolicy.ALWAYS
        raise refused(node, f"cannot be {shown(written)}, write always, missing or never")

    return reader
