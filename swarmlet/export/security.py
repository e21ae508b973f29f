"""Rights: users, capabilities, profiles, namespaces of the node."""

from swarmlet.export.document import Document, ServiceNotes, said
from swarmlet.model.container import Namespace, NetworkMode, Security
from swarmlet.model.spec import TaskTemplate

UNCONFINED = "unconfined"
_SELINUX = ("user", "role", "type", "level")


def container_security(template: TaskTemplate, notes: ServiceNotes) -> Document:
    options, security = template.options, template.options.security
    capabilities = said({"add": list(template.cap_add), "drop": list(template.cap_drop)})
    notes.add_if(
        security.no_new_privileges and options.privileged,
        "security_opt",
        "no-new-privileges is left out: it is refused beside `privileged`",
    )
    return said(
        {
            **_user(template.user, notes),
            "privileged": True if options.privileged else None,
            "readOnlyRootFilesystem": True if template.read_only else None,
            "allowPrivilegeEscalation": False if security.no_new_privileges and not options.privileged else None,
            "capabilities": capabilities,
            "seccompProfile": _seccomp(security, notes),
            "appArmorProfile": _profile(security.apparmor),
            "seLinuxOptions": _selinux(security, notes),
            "procMount": _proc(security, notes),
        }
    )


def _user(user: str, notes: ServiceNotes) -> Document:
    name, _, group = user.partition(":")
    found: Document = {}
    for key, value in (("runAsUser", name), ("runAsGroup", group)):
        if value.isdecimal():
            found[key] = int(value)
        elif value:
            notes.add("user", f"only numbers can be said, so {value!r} is left out: the image's own counts")
    return found


def _profile(name: str) -> Document | None:
    if not name:
        return None
    return {"type": "Unconfined"} if name == UNCONFINED else {"type": "Localhost", "localhostProfile": name}


def _seccomp(security: Security, notes: ServiceNotes) -> Document | None:
    profile = _profile(security.seccomp)
    if profile and "localhostProfile" in profile:
        notes.add("security_opt", "the seccomp profile has to lie below /var/lib/kubelet/seccomp on every node")
        profile["localhostProfile"] = security.seccomp.lstrip("/")
    return profile


def _selinux(security: Security, notes: ServiceNotes) -> Document:
    found = {}
    for option in security.selinux:
        key, _, value = option.partition(":")
        if key in _SELINUX and value:
            found[key] = value
        else:
            notes.add("security_opt", f"label={option} can't be said; 'type: spc_t' is the nearest to no confinement")
    return found


def _proc(security: Security, notes: ServiceNotes) -> str | None:
    notes.add_if(security.mask, "security_opt", "further paths can't be masked")
    if not security.unmask:
        return None
    notes.add("security_opt", "unmasked is all of /proc, and Kubernetes wants `hostUsers: false` for it")
    return "Unmasked"


def pod_security(template: TaskTemplate, notes: ServiceNotes) -> Document:
    options = template.options
    numbers = [int(group) for group in options.group_add if group.isdecimal()]
    named = [group for group in options.group_add if not group.isdecimal()]
    notes.add_if(named, "group_add", f"only numbers can be said, left out: {', '.join(named)}")
    notes.add_if(
        options.sysctls, "sysctls", "those that Kubernetes holds for unsafe have to be allowed by each kubelet"
    )
    return said(
        {
            "supplementalGroups": numbers,
            "sysctls": [{"name": name, "value": value} for name, value in sorted(options.sysctls.items())],
        }
    )


def host_namespaces(template: TaskTemplate, notes: ServiceNotes) -> Document:
    options = template.options
    shared = options.host_namespaces
    notes.add_if(Namespace.UTS in shared, "uts", "can't be said; with `hostNetwork: true` the host name is the node's")
    notes.add_if(Namespace.USER in shared, "userns_mode", "is Kubernetes' default: users are the node's")
    notes.add_if(Namespace.CGROUP in shared, "cgroup", "can't be said")
    notes.add_if(options.network is NetworkMode.NONE, "network_mode", "'none' can't be said: write a NetworkPolicy")
    return said(
        {
            "hostNetwork": True if options.network is NetworkMode.HOST else None,
            "hostPID": True if Namespace.PID in shared else None,
            "hostIPC": True if Namespace.IPC in shared else None,
        }
    )
