"""A template's `ContainerOptions` in the engine's own words (the libpod API's SpecGenerator, 4.0 and later). Pure.

Only what was asked for is written: everything else stays the engine's default. The domain name has no field in that
API; it is set as the kernel parameter that it is, in the container's own UTS namespace.
"""

from collections.abc import Sequence
from typing import Any

from swarmlet.model.container import UNLIMITED, ContainerOptions, Device, Namespace, NetworkMode, Security, Ulimit
from swarmlet.runtime.interface import LOG_BYTES_MAX

_UNLIMITED_WORD = 2**64 - 1
"""RLIM_INFINITY, as the engine passes it on."""
_NAMESPACE_KEYS = {
    Namespace.PID: "pidns",
    Namespace.IPC: "ipcns",
    Namespace.UTS: "utsns",
    Namespace.USER: "userns",
    Namespace.CGROUP: "cgroupns",
}
_DOMAIN_SYSCTL = "kernel.domainname"


def options_payload(options: ContainerOptions, network: str, devices: Sequence[str] = ()) -> dict[str, Any]:
    """`devices`: paths or CDI names, given beside those of the options."""
    sysctls = dict(options.sysctls)
    if options.domainname:
        sysctls[_DOMAIN_SYSCTL] = options.domainname
    wanted: dict[str, Any] = {
        "init": options.init,
        "hostname": options.hostname,
        "hostadd": list(options.extra_hosts),
        "dns_server": list(options.dns),
        "dns_search": list(options.dns_search),
        "dns_option": list(options.dns_options),
        "r_limits": [_ulimit(limit) for limit in options.ulimits],
        "sysctl": sysctls,
        "devices": [*map(_device, options.devices), *({"path": name} for name in devices)],
        "groups": list(options.group_add),
        "privileged": options.privileged,
        "shm_size": options.shm_size_bytes,
        "oom_score_adj": options.oom_score_adj,
        "stop_signal": options.stop_signal,
        "terminal": options.tty,
        "stdin": options.stdin_open,
        "annotations": options.annotations,
        **_security(options.security),
        **{_NAMESPACE_KEYS[shared]: {"nsmode": "host"} for shared in options.host_namespaces},
    }
    return {
        **{key: value for key, value in wanted.items() if value},
        **_network(options.network, network),
        "log_configuration": _logging(options),
    }


def _network(mode: NetworkMode, network: str) -> dict[str, Any]:
    if mode is NetworkMode.BRIDGE:
        return {"netns": {"nsmode": "bridge"}, "Networks": {network: {}}}
    return {"netns": {"nsmode": mode.value}}


def _logging(options: ContainerOptions) -> dict[str, Any]:
    if options.logging.driver == "none":
        return {"driver": "none"}
    return {"driver": "k8s-file", "size": options.logging.size_bytes_max or LOG_BYTES_MAX}


def _ulimit(limit: Ulimit) -> dict[str, Any]:
    soft, hard = (_UNLIMITED_WORD if value == UNLIMITED else value for value in (limit.soft, limit.hard))
    return {"type": limit.name, "soft": soft, "hard": hard}


def _device(device: Device) -> dict[str, Any]:
    if device.is_cdi:
        return {"path": device.source}
    return {"path": f"{device.source}:{device.target}:{device.permissions}"}


def _security(security: Security) -> dict[str, Any]:
    return {
        "no_new_privileges": security.no_new_privileges,
        "seccomp_profile_path": security.seccomp,
        "apparmor_profile": security.apparmor,
        "selinux_opts": list(security.selinux),
        "mask": list(security.mask),
        "unmask": list(security.unmask),
    }
