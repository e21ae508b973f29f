"""A service's keys that become options of its containers, whatever program is in them."""

from swarmlet.model.compose import limits, name_resolution, rights
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node
from swarmlet.model.compose.scalars import boolean, integer, pairs
from swarmlet.model.container import ContainerOptions, Logging, Namespace, NetworkMode, Security

CPU_SHARES_MAX = 262_144
"""The kernel's own limit."""
_NAMESPACES = (
    ("pid", Namespace.PID, rights.shares_host("process table", "private")),
    ("ipc", Namespace.IPC, rights.shares_host("memory", "private", "shareable")),
    ("uts", Namespace.UTS, rights.shares_host("host name", "private")),
    ("userns_mode", Namespace.USER, rights.shares_host("users")),
    ("cgroup", Namespace.CGROUP, rights.shares_host("cgroup", "private")),
)


def read_options(fields: Fields, findings: Findings) -> ContainerOptions:
    flag = boolean(findings)
    options = ContainerOptions(
        init=fields.read("init", flag, False),
        hostname=fields.read("hostname", name_resolution.kernel_name, ""),
        domainname=fields.read("domainname", name_resolution.kernel_name, ""),
        extra_hosts=fields.read("extra_hosts", name_resolution.extra_hosts, ()),
        dns=fields.read("dns", name_resolution.name_servers, ()),
        dns_search=fields.read("dns_search", name_resolution.search_domains, ()),
        dns_options=fields.read("dns_opt", name_resolution.resolver_options, ()),
        network=fields.read("network_mode", rights.network_mode, NetworkMode.BRIDGE),
        host_namespaces=tuple(namespace for key, namespace, reader in _NAMESPACES if fields.read(key, reader, False)),
        ulimits=fields.read("ulimits", lambda node: limits.read_ulimits(node, findings), ()),
        sysctls=fields.read("sysctls", rights.read_sysctls, {}),
        devices=fields.read("devices", lambda node: rights.read_devices(node, findings), ()),
        group_add=fields.read("group_add", rights.read_groups, ()),
        privileged=fields.read("privileged", flag, False),
        security=fields.read("security_opt", lambda node: rights.read_security(node, findings), Security()),
        shm_size_bytes=fields.read("shm_size", limits.read_shm_size, 0),
        cpu_shares=fields.read("cpu_shares", integer(2, CPU_SHARES_MAX), 0),
        cpuset=fields.read("cpuset", limits.read_cpuset, ""),
        oom_score_adj=fields.read("oom_score_adj", integer(-1000, 1000), 0),
        stop_signal=fields.read("stop_signal", limits.read_signal, 0),
        tty=fields.read("tty", flag, False),
        stdin_open=fields.read("stdin_open", flag, False),
        annotations=fields.read("annotations", _annotations, {}),
        logging=fields.read("logging", lambda node: limits.read_logging(node, findings), Logging()),
    )
    _check_together(options, fields, findings)
    return options


def _annotations(node: Node) -> dict[str, str]:
    return {pair.name: pair.value or "" for pair in pairs(node)}


def _check_together(options: ContainerOptions, fields: Fields, findings: Findings) -> None:
    """What an engine would refuse only when the task is made."""
    shared = options.host_namespaces
    clashes = (
        ("hostname", "uts", Namespace.UTS in shared),
        ("domainname", "uts", Namespace.UTS in shared),
        ("shm_size", "ipc", Namespace.IPC in shared),
        ("networks", "network_mode", options.network is not NetworkMode.BRIDGE),
        ("ports", "network_mode", options.network is NetworkMode.NONE),
    )
    for key, other, clash in clashes:
        node = fields.value(key)
        if clash and node is not None:
            findings.refuse(
                refused(node, f"cannot be had together with this service's {other!r}, remove one of the two")
            )
    sysctls = fields.value("sysctls")
    if (
        sysctls is not None
        and options.network is NetworkMode.HOST
        and any(s.startswith("net.") for s in options.sysctls)
    ):
        message = "net.* would be the node's own with 'network_mode: host', remove one of the two"
        findings.refuse(refused(sysctls, message))
