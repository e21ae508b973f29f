"""What a task mounts: volumes, and the configs and secrets that are files in it; and the objects behind them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmlet.export.document import Document, ServiceNotes, said
from swarmlet.export.metadata import ServiceNames
from swarmlet.export.names import file_keys
from swarmlet.export.quantities import size
from swarmlet.model.container import FileMount
from swarmlet.model.job import Concurrency
from swarmlet.model.spec import Mode, Mount, MountKind, ServiceSpec

CLAIM = "PersistentVolumeClaim"
CLAIM_SIZE = "1Gi"
"""Here a volume has no size; there a claim must have one."""
OBJECT_BYTES_MAX = 1024 * 1024
SHARED_MEMORY = "/dev/shm"
FILE_MODE_MAX = 0o777
BOTH_WAYS, TO_CONTAINER = "Bidirectional", "HostToContainer"
PROPAGATION = {
    **dict.fromkeys(("rshared", "shared"), BOTH_WAYS),
    **dict.fromkeys(("rslave", "slave"), TO_CONTAINER),
    **dict.fromkeys(("rprivate", "private"), "None"),
}


@dataclass(slots=True)
class Storage:
    mounts: list[Document] = field(default_factory=list)
    volumes: list[Document] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    claims: bool = False
    """Some volume is a claim: two tasks on two nodes may not both have it."""

    def add(self, volume: Document, *mounts: Document) -> None:
        self.volumes.append(volume)
        self.mounts += mounts


def storage_of(spec: ServiceSpec, names: ServiceNames, reveal: bool, notes: ServiceNotes) -> Storage:
    storage, template = Storage(), spec.template
    for at, mount in enumerate(template.mounts):
        _mount(storage, spec, names, mount, f"volume-{at}", notes)
    for is_secret, kind in ((False, "configs"), (True, "secrets")):
        files = [file for file in template.files if file.secret is is_secret]
        if files:
            _files(storage, names, files, kind, reveal or not is_secret, notes)
    for at, device in enumerate(template.options.devices):
        if device.is_cdi:
            notes.add("devices", f"{device.source} is left out: a device plugin gives it, by a reservation")
            continue
        name = f"device-{at}"
        storage.add({"name": name, "hostPath": {"path": device.source}}, {"name": name, "mountPath": device.target})
        notes.add("devices", f"{device.source} is mounted, which opens it only with `privileged` or a device plugin")
    is_mounted = SHARED_MEMORY in {mount.target for mount in template.mounts}
    notes.add_if(
        template.options.shm_size_bytes and is_mounted, "shm_size", f"is that of what is mounted at {SHARED_MEMORY}"
    )
    if template.options.shm_size_bytes and not is_mounted:
        memory = {"medium": "Memory", "sizeLimit": size(template.options.shm_size_bytes)}
        storage.add({"name": "shm", "emptyDir": memory}, {"name": "shm", "mountPath": SHARED_MEMORY})
    return storage


def _mount(
    storage: Storage, spec: ServiceSpec, names: ServiceNames, mount: Mount, name: str, notes: ServiceNotes
) -> None:
    mounted = said(
        {
            "name": name,
            "mountPath": mount.target,
            "readOnly": True if mount.read_only else None,
            "mountPropagation": _propagation(spec, mount, notes),
        }
    )
    storage.add({"name": name, **_source(storage, spec, names, mount, notes)}, mounted)


def _propagation(spec: ServiceSpec, mount: Mount, notes: ServiceNotes) -> str | None:
    propagation = PROPAGATION.get(mount.propagation)
    if propagation != BOTH_WAYS or spec.template.options.privileged:
        return propagation
    notes.add("volumes", f"mounts below {mount.target} reach the node only from a privileged container")
    return TO_CONTAINER


def _source(storage: Storage, spec: ServiceSpec, names: ServiceNames, mount: Mount, notes: ServiceNotes) -> Document:
    if mount.kind is MountKind.BIND:
        notes.add("volumes", f"{mount.source} has to be there on every node that runs a pod of it")
        return {"hostPath": {"path": mount.source}}
    if mount.kind is MountKind.TMPFS:
        notes.add_if(mount.mode, "tmpfs", f"the mode of {mount.target} can't be said")
        return {
            "emptyDir": said({"medium": "Memory", "sizeLimit": size(mount.size_bytes) if mount.size_bytes else None})
        }
    if not mount.source:
        return {"emptyDir": {}}
    return _claim(storage, spec, names, mount.source, notes)


def _claim(storage: Storage, spec: ServiceSpec, names: ServiceNames, volume: str, notes: ServiceNotes) -> Document:
    name = names.volumes[volume]
    if spec.mode is Mode.GLOBAL:
        path = f"/var/lib/{names.stack}/{name}"
        notes.add("volumes", f"{volume} is a path on each node, {path}: a claim would be one for all of them")
        return {"hostPath": {"path": path, "type": "DirectoryOrCreate"}}
    shared = _has_several_pods(spec) or volume in names.shared_volumes
    storage.claims = True
    storage.documents.append(
        {
            "apiVersion": "v1",
            "kind": CLAIM,
            "metadata": names.metadata(name),
            "spec": {
                "accessModes": ["ReadWriteMany" if shared else "ReadWriteOnce"],
                "resources": {"requests": {"storage": CLAIM_SIZE}},
            },
        }
    )
    notes.add("volumes", f"{volume} has no size here: the claim {name} asks for {CLAIM_SIZE}, change it")
    notes.add_if(
        shared,
        "volumes",
        f"all pods share the claim {name}, where here each node has a volume of its own: it needs a storage class for "
        "ReadWriteMany",
    )
    return {"persistentVolumeClaim": {"claimName": name}}


def _has_several_pods(spec: ServiceSpec) -> bool:
    """At a time."""
    job = spec.job
    if job is None:
        return spec.replicas > 1 or spec.autoscale is not None
    return job.at_once(job.completions) > 1 or (bool(job.schedule) and job.concurrency is Concurrency.ALLOW)


def _files(
    storage: Storage, names: ServiceNames, files: list[FileMount], kind: str, reveal: bool, notes: ServiceNotes
) -> None:
    keys = file_keys(file.target for file in files)
    name = names.other(kind)
    items = [{"key": keys[file.target], "path": keys[file.target], "mode": file.mode & FILE_MODE_MAX} for file in files]
    special = [file.target for file in files if file.mode > FILE_MODE_MAX]
    notes.add_if(special, kind, f"setuid, setgid and sticky bits can't be said: left out of {', '.join(special)}")
    mounts = [
        {"name": kind, "mountPath": file.target, "subPath": keys[file.target], "readOnly": True} for file in files
    ]
    source = {"secret": {"secretName": name, "items": items}} if kind == "secrets" else None
    storage.add({"name": kind, **(source or {"configMap": {"name": name, "items": items}})}, *mounts)
    storage.documents.append(_object(names, name, kind, files if reveal else [], keys))
    if not reveal:
        shown = " ".join(f"--from-file={keys[file.target]}=FILE" for file in files)
        notes.add(kind, f"contents are shown to nobody: kubectl create secret generic {name} {shown}")
    owned = [file.target for file in files if file.uid or file.gid]
    notes.add_if(owned, kind, f"owners can't be said, root owns {', '.join(owned)}")
    total = sum(len(file.content) for file in files)
    notes.add_if(total > OBJECT_BYTES_MAX, kind, f"{total} bytes are more than one object may hold, 1 MiB")


def _object(names: ServiceNames, name: str, kind: str, files: list[FileMount], keys: Mapping[str, str]) -> Document:
    if kind == "secrets":
        data = {keys[file.target]: file.content_base64 for file in files}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": names.metadata(name),
            "type": "Opaque",
            "data": data,
        }
        return said(secret)
    texts: dict[str, str] = {}
    binary: dict[str, str] = {}
    for file in files:
        try:
            texts[keys[file.target]] = file.content.decode()
        except UnicodeDecodeError:
            binary[keys[file.target]] = base64.b64encode(file.content).decode()
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": names.metadata(name)}
    return said({**document, "data": texts, "binaryData": binary})
