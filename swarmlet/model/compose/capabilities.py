"""Linux capabilities by name, as in capabilities(7): a misspelt one is found here and not when a task starts."""

from difflib import get_close_matches

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import each
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, shown
from swarmlet.model.compose.scalars import string

ALL = "ALL"
# fmt: off
CAPABILITIES = frozenset({
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
    "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
    "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT",
    "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG",
    "WAKE_ALARM",
})
# fmt: on


def read_capabilities(node: Node, findings: Findings) -> tuple[str, ...]:
    """Upper case, without `CAP_`, each once."""
    return tuple(dict.fromkeys(each(node, _capability, findings)))


def _capability(node: Node) -> str:
    written = string(node)
    name = written.upper().removeprefix("CAP_")
    if name != ALL and name not in CAPABILITIES:
        near = get_close_matches(name, CAPABILITIES, n=1)
        remedy = f"write {near[0]}" if near else "write one of capabilities(7), like NET_ADMIN, or ALL"
        raise refused(node, f"{shown(written)} is no Linux capability, {remedy}")
    return name
