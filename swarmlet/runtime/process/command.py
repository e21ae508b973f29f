"""What a task's template means for a plain process: its command, environment and working folder. Pure but for paths.

An image is a folder, `IMAGES/NAME/TAG` for `NAME:TAG` (a colon can't be in a folder of PATH): its `bin` comes first in
PATH, and it is the working folder unless the template names one. The image `scratch` always exists and is empty.

What a process can't be given is refused by name instead of being dropped: mounts, configs and secrets, a read-only
root, capabilities, and nearly all of a container's options. Those that only a container needs (`init`, a way for its
output, annotations, the node's own network and namespaces) are had or do no harm, and are passed over. Resource limits
and shares are taken for scheduling but not enforced: a process has no cgroup of its own here, and RLIMIT_AS limits
addresses, not memory.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from swarmlet.model.container import ContainerOptions, NetworkMode
from swarmlet.model.spec import TaskTemplate
from swarmlet.runtime.interface import ContainerFailed, ContainerSpec, ImageUnavailable

SCRATCH = "scratch"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


_OPTIONS_PASSED_OVER = frozenset(
    {"init", "stop_signal", "logging", "annotations", "network", "host_namespaces", "stdin_open", "cpu_shares"}
)


def refuse_unsupported(template: TaskTemplate) -> None:
    refused = {
        "mounts": template.mounts,
        "read_only": template.read_only,
        "cap_add": template.cap_add,
        "cap_drop": template.cap_drop,
        "configs and secrets": template.files,
    }
    named = [key for key, value in refused.items() if value]
    unset = ContainerOptions()
    asked = ((name, getattr(template.options, name) != getattr(unset, name)) for name in ContainerOptions.model_fields)
    named += [name for name, differs in asked if differs and name not in _OPTIONS_PASSED_OVER]
    if template.options.network is NetworkMode.NONE:
        named.append("network_mode: none")
    if named:
        raise ContainerFailed(
            f"the process runtime can't give a process {', '.join(named)}: leave it out, or use a node with Podman"
        )


def image_folder(images: Path, image: str) -> Path | None:
    """The image's folder; None for `scratch`. Raises `ImageUnavailable` naming the folder that should be there."""
    if image == SCRATCH:
        return None
    name = PurePosixPath(image.replace(":", "/"))
    if name.is_absolute() or ".." in name.parts:
        raise ImageUnavailable(image, f"the process runtime takes a name below {images}, without '..'")
    folder = images / name
    if not folder.is_dir():
        raise ImageUnavailable(image, f"the process runtime looks for the folder {folder}, which does not exist")
    return folder


def command_of(template: TaskTemplate) -> tuple[str, ...]:
    command = (*(template.entrypoint or ()), *(template.command or ()))
    if not command:
        raise ContainerFailed(f"a process needs a command, and image {template.image} has none: set `command`")
    return command


def environment_of(spec: ContainerSpec, image: Path | None, ports: Mapping[int, int]) -> dict[str, str]:
    """`PORT` is where to listen for the first target port, `PORT_<target>` for each."""
    environment = {"PATH": DEFAULT_PATH, "HOME": "/", "LANG": "C.UTF-8"}
    environment |= spec.template.environment
    environment |= spec.environment
    if image is not None:
        environment["PATH"] = f"{image / 'bin'}:{environment['PATH']}"
    environment |= {f"PORT_{target}": str(local) for target, local in ports.items()}
    if ports:
        environment["PORT"] = str(next(iter(ports.values())))
    return environment
