"""Pods of several services (`x-swarmlet.pod`): their pods merged into one, with a container each.

Rules: what one of them asks of nodes, all ask; a taint is tolerated where all tolerate it; of numbers the largest
counts; what a pod has one of is the first one's. A claim is one volume, whoever mounts it, since a kubelet waits for
ever for a second one of it (kubernetes/kubernetes#132921).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from swarmlet.export.document import Document, said
from swarmlet.export.members import Group
from swarmlet.export.metadata import REVISION_ANNOTATION
from swarmlet.export.pod import CONTAINERS, INITS
from swarmlet.model.container import Namespace


def merged(pods: Sequence[Document]) -> Document:
    """Of one or several pod templates, each of one container. Volumes are told apart by its name."""
    if len(pods) == 1:
        return _with_claims_once(pods[0])
    revisions = [each["metadata"]["annotations"][REVISION_ANNOTATION] for each in pods]
    result: Document = {}
    for each in pods:
        result = _merged(result, _with_own_volumes(each))
    result["metadata"]["annotations"][REVISION_ANNOTATION] = ".".join(revisions)
    spec = result["spec"]
    tolerated = [each["spec"].get("tolerations", []) for each in pods]
    common = [one for one in tolerated[0] if all(one in others for others in tolerated)]
    spec.pop("tolerations", None)
    if common:
        spec["tolerations"] = common
    _one_node_selector(spec)
    _each_sysctl_once(spec)
    return _with_claims_once(result)


def note_what_is_shared(group: Group) -> None:
    """Here each member has its own, in one pod as well."""
    hostname = next((name for each in group.members if (name := each.spec.template.options.hostname)), "")
    for each in group.members if len(group.members) > 1 else ():
        options = each.spec.template.options
        own = options.hostname
        each.notes.add_if(own and own != hostname, "hostname", f"all members of a pod have the same there: {hostname}")
        for key, is_said in (
            ("pid", Namespace.PID in options.host_namespaces),
            ("ipc", Namespace.IPC in options.host_namespaces),
            ("group_add", options.group_add),
            ("sysctls", options.sysctls),
        ):
            each.notes.add_if(is_said, key, "holds for all members of its pod there")


def _with_own_volumes(pod: Document) -> Document:
    spec = pod["spec"]
    kind = CONTAINERS if CONTAINERS in spec else INITS
    (container,) = spec[kind]
    called = {each["name"]: f"{container['name']}-{each['name']}"[-63:].lstrip("-") for each in spec.get("volumes", [])}
    if not called:
        return pod
    volumes = [{**each, "name": called[each["name"]]} for each in spec["volumes"]]
    return {**pod, "spec": {**spec, kind: [_with_volumes(container, called)], "volumes": volumes}}


def _with_claims_once(pod: Document) -> Document:
    spec = pod["spec"]
    kept: dict[str, Document] = {}
    called: dict[str, str] = {}
    for volume in spec.get("volumes", []):
        claim = volume.get("persistentVolumeClaim")
        first = kept.setdefault(f"claim {claim['claimName']}" if claim else volume["name"], volume)
        called[volume["name"]] = first["name"]
    if len(kept) == len(called):
        return pod
    containers = {
        kind: [_with_volumes(each, called) for each in spec[kind]] for kind in (CONTAINERS, INITS) if kind in spec
    }
    return {**pod, "spec": {**spec, **containers, "volumes": list(kept.values())}}


def _with_volumes(container: Document, called: Mapping[str, str]) -> Document:
    mounts = [{**each, "name": called[each["name"]]} for each in container.get("volumeMounts", [])]
    return said({**container, "volumeMounts": mounts})


def _each_sysctl_once(spec: Document) -> None:
    security = spec.get("securityContext", {})
    if "sysctls" in security:
        security["sysctls"] = list({each["name"]: each for each in reversed(security["sysctls"])}.values())[::-1]


def _one_node_selector(spec: Document) -> None:
    """Several terms would mean: any of them."""
    nodes = spec.get("affinity", {}).get("nodeAffinity", {})
    required = nodes.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required:
        expressions = [one for term in required["nodeSelectorTerms"] for one in term["matchExpressions"]]
        required["nodeSelectorTerms"] = [{"matchExpressions": expressions}]


def _merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            key: _merged(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
            for key in {**one, **other}
        }
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *(each for each in other if each not in one)]
    if isinstance(one, int | float) and isinstance(other, int | float):
        return max(one, other)
    return one
