"""A task's container: its program, its environment, what it may use."""

import re

from swarmlet.export.document import Document, ServiceNotes, said
from swarmlet.export.literals import literal, literals
from swarmlet.export.probes import probes_of
from swarmlet.export.quantities import cpus, size
from swarmlet.export.security import container_security
from swarmlet.model.container import Logging, PullPolicy
from swarmlet.model.spec import ALL_DEVICES, Resources, TaskTemplate

GPU = "gpu"
GPU_RESOURCE = "nvidia.com/gpu"
_PULL = {PullPolicy.MISSING: "IfNotPresent", PullPolicy.ALWAYS: "Always", PullPolicy.NEVER: "Never"}
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def container_of(
    name: str, template: TaskTemplate, mounts: list[Document], notes: ServiceNotes, *, is_init: bool
) -> Document:
    options = template.options
    _note_what_is_left_out(template, notes)
    ports = sorted({port.target for port in template.ports})
    return said(
        {
            "name": name,
            "image": template.image,
            "imagePullPolicy": _PULL[template.pull_policy],
            **_program(template, notes),
            "workingDir": template.working_dir or None,
            "env": _environment(template, notes),
            "ports": [{"containerPort": port} for port in ports],
            "resources": _resources(template, notes),
            "volumeMounts": mounts,
            **_probes(template, notes, is_init),
            "securityContext": container_security(template, notes),
            "tty": True if options.tty else None,
            "stdin": True if options.stdin_open else None,
        }
    )


def _environment(template: TaskTemplate, notes: ServiceNotes) -> list[Document]:
    """Other names are refused by 1.30, though not by all later versions."""
    odd = [name for name in template.environment if not _VARIABLE.fullmatch(name)]
    notes.add_if(odd, "environment", f"no names of variables there, left out: {', '.join(odd)}")
    kept = {name: value for name, value in template.environment.items() if name not in odd}
    return [{"name": name, "value": literal(value)} for name, value in kept.items()]


def _probes(template: TaskTemplate, notes: ServiceNotes, is_init: bool) -> Document:
    if not is_init:
        return probes_of(template, notes)
    notes.add_if(template.health_check or template.readiness, "healthcheck", "init containers have none")
    return {}


def _program(template: TaskTemplate, notes: ServiceNotes) -> Document:
    """`entrypoint` is `command` there, and `command` is `args`; each replaces the image's own."""
    entrypoint, command = template.entrypoint, template.command
    if entrypoint == ():
        notes.add_if(not command, "entrypoint", "can't be cleared without a command: the image's own counts")
        entrypoint, command = command, None
    notes.add_if(
        command == () and not entrypoint, "command", "can't be cleared without an entrypoint: the image's own counts"
    )
    return {
        "command": literals(entrypoint or ()),
        "args": literals(command or ()),
    }


def _resources(template: TaskTemplate, notes: ServiceNotes) -> Document:
    limits, requests = _amounts(template.limits), _amounts(template.reservations)
    for kind, count in template.reservations.devices.items():
        resource = GPU_RESOURCE if kind == GPU else kind if "/" in kind else f"swarmlet/{kind}"
        if count == ALL_DEVICES:
            notes.add(
                "deploy.resources.reservations.devices", f"all of a node's {kind} can't be asked for: 1 is written"
            )
        notes.add_if(
            kind in template.reservations.device_ids,
            "deploy.resources.reservations.devices",
            f"device_ids are left out: the device plugin chooses which {kind} it is",
        )
        limits[resource] = "1" if count == ALL_DEVICES else str(count)
        notes.add("deploy.resources.reservations.devices", f"{kind} is {resource}, which needs its device plugin")
    notes.add_if(
        template.limits.pids, "deploy.resources.limits.pids", "is a setting of the kubelet, for all pods alike"
    )
    return said({"limits": limits, "requests": requests})


def _amounts(resources: Resources) -> dict[str, str]:
    found = {}
    if resources.cpus:
        found["cpu"] = cpus(resources.cpus)
    if resources.memory_bytes:
        found["memory"] = size(resources.memory_bytes)
    return found


def _note_what_is_left_out(template: TaskTemplate, notes: ServiceNotes) -> None:
    options = template.options
    notes.add_if(options.init, "init", "can't be said: put an init program into the image")
    notes.add_if(options.ulimits, "ulimits", "can't be said: the node's container engine sets them")
    notes.add_if(options.oom_score_adj, "oom_score_adj", "follows from requests and limits")
    notes.add_if(options.cpu_shares, "cpu_shares", "follow from the request of processors: reserve some")
    notes.add_if(options.cpuset, "cpuset", "is the CPU manager's: reserve whole processors and use its static policy")
    notes.add_if(options.stop_signal, "stop_signal", "set STOPSIGNAL in the image")
    notes.add_if(options.logging != Logging(), "logging", "is a setting of the kubelet and of the container engine")
    notes.add_if(options.domainname, "domainname", "can't be said")
