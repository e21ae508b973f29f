"""A stack as Kubernetes' manifests, for version 1.30 and later.

Rules:
- Names are the stack's own; no namespace is said: `kubectl apply -n NAME` chooses it.
- What a service needs comes before what runs it, so that the text can be applied in its order.
- Contents of secrets are written only where they are revealed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from swarmlet.export.document import Document, Exported, Notes
from swarmlet.export.ending import restart_policy
from swarmlet.export.leftovers import note_leftovers
from swarmlet.export.members import Group, Member, group_of
from swarmlet.export.metadata import ServiceNames
from swarmlet.export.names import distinct_names
from swarmlet.export.network import ingress_of, services_of
from swarmlet.export.placement import priority_document
from swarmlet.export.pod import pod_of
from swarmlet.export.scaling import autoscaler_of, budget_of
from swarmlet.export.sidecars import merged, note_what_is_shared
from swarmlet.export.storage import CLAIM, storage_of
from swarmlet.export.workload import workload_of
from swarmlet.model.bonds import awaited_by
from swarmlet.model.spec import MountKind, ServiceSpec, StackSpec


def to_kubernetes(stack: StackSpec, *, reveal: bool) -> Exported:
    """`reveal`: with the contents of its secrets."""
    notes = Notes()
    groups = _groups(spec for _, spec in sorted(stack.services.items()))
    specs = [spec for group in groups for spec in group]
    documents: list[Document] = [
        priority_document(priority) for priority in sorted({spec.priority for spec in specs}) if priority
    ]
    names = _names(stack.name, groups)
    awaited = {name for spec in specs for name in awaited_by(spec)}
    for group in groups:
        members = [Member(spec, names[spec.name], notes.of(spec.name), spec.name in awaited) for spec in group]
        documents += _of_group(group_of(members), reveal)
    return Exported(_distinct(documents), tuple(notes.found))


def _groups(specs: Iterable[ServiceSpec]) -> list[list[ServiceSpec]]:
    """Services that share a pod together, the most important first: its priority is the pod's."""
    groups: dict[str, list[ServiceSpec]] = {}
    for spec in specs:
        groups.setdefault(f"pod {spec.template.pod}" if spec.template.pod else spec.name, []).append(spec)
    return [_alike(sorted(group, key=lambda spec: (-spec.priority, spec.name))) for group in groups.values()]


def _alike(group: list[ServiceSpec]) -> list[ServiceSpec]:
    return [spec.model_copy(update={"priority": group[0].priority}) for spec in group]


def _names(stack: str, groups: Sequence[Sequence[ServiceSpec]]) -> Mapping[str, ServiceNames]:
    """By the services' own names."""
    specs = [spec for group in groups for spec in group]
    services, pods = _named(specs)
    called = {spec.name: pods.get(spec.template.pod, services[spec.name]) for spec in specs}
    mounted = Counter(volume for group in groups for volume in set().union(*map(_volumes, group)))
    return {
        spec.name: ServiceNames(
            stack=stack,
            name=services[spec.name],
            pod=pods.get(spec.template.pod, ""),
            pods=called,
            taken=frozenset([*services.values(), *pods.values()]),
            volumes=distinct_names(sorted(mounted)),
            shared_volumes=frozenset(volume for volume, count in mounted.items() if count > 1),
        )
        for spec in specs
    }


def _named(specs: Sequence[ServiceSpec]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What services are called there, and what pods are."""
    services = distinct_names(sorted(spec.name for spec in specs))
    pods = sorted({spec.template.pod for spec in specs if spec.template.pod})
    called = distinct_names((f"{pod}-pod" for pod in pods), taken=services.values())
    return services, {pod: called[f"{pod}-pod"] for pod in pods}


def _volumes(spec: ServiceSpec) -> set[str]:
    return {mount.source for mount in spec.template.mounts if mount.kind is MountKind.VOLUME and mount.source}


def _of_group(group: Group, reveal: bool) -> list[Document]:
    documents: list[Document] = []
    pods: list[Document] = []
    has_claims = False
    restart = restart_policy(group)
    for each in group.members:
        spec, names, notes = each.spec, each.names, each.notes
        _note_what_is_lost(each, group)
        storage = storage_of(spec, names, reveal, notes)
        has_claims |= storage.claims
        documents += storage.documents
        if spec.job is None:
            documents += [*services_of(spec, names, notes), *ingress_of(spec, names)]
        pods.append(pod_of(each, storage, restart, is_init=each in group.inits))
    note_what_is_shared(group)
    return [
        *documents,
        workload_of(group, merged(pods), has_claims=has_claims),
        *autoscaler_of(group),
        *budget_of(group),
    ]


def _note_what_is_lost(member: Member, group: Group) -> None:
    spec, notes = member.spec, member.notes
    renamed = member.names.name != spec.name
    notes.add_if(renamed, "", f"is called {member.names.name} there, also by other services")
    notes.add_if(
        spec.depends_on.keys() - {each.spec.name for each in group.inits},
        "depends_on",
        "pods start in any order: its program has to wait, or to end and be restarted",
    )
    notes.add_if(spec.restarts_with, "depends_on", "pods are not restarted with those they depend on")
    notes.add_if(spec.template.pod, "x-swarmlet.pod", "a new version of one member replaces the pod as a whole")
    note_leftovers(spec, notes)


def _distinct(documents: Iterable[Document]) -> tuple[Document, ...]:
    """A volume that several services mount is claimed once, before the first of them; all else is there once anyway."""
    found: dict[tuple[str, str], Document] = {}
    for each in documents:
        key = each["kind"], each["metadata"]["name"]
        assert key not in found or each["kind"] == CLAIM, f"two objects would be called {key}"
        found.setdefault(key, each)
    return tuple(found.values())
