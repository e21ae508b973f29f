"""A stack as Kubernetes' manifests, for version 1.30 and later.

Rules:
- Names are the stack's own; no namespace is said: `kubectl apply -n NAME` chooses it.
- What a service needs comes before what runs it, so that the text can be applied in its order.
- Contents of secrets are written only where they are revealed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarmlet.export.document import Document, Exported, Notes, ServiceNotes
from swarmlet.export.leftovers import note_leftovers
from swarmlet.export.metadata import ServiceNames
from swarmlet.export.names import distinct_names
from swarmlet.export.network import ingress_of, services_of
from swarmlet.export.placement import priority_document
from swarmlet.export.pod import pod_of
from swarmlet.export.scaling import autoscaler_of, budget_of
from swarmlet.export.sidecars import merged
from swarmlet.export.storage import CLAIM, storage_of
from swarmlet.export.workload import restart_policy, workload_of
from swarmlet.model.spec import DependencyCondition, MountKind, ServiceSpec, StackSpec


def to_kubernetes(stack: StackSpec, *, reveal: bool) -> Exported:
    """`reveal`: with the contents of its secrets."""
    notes = Notes()
    specs = [spec for _, spec in sorted(stack.services.items())]
    documents: list[Document] = [
        priority_document(priority) for priority in sorted({spec.priority for spec in specs}) if priority
    ]
    mounted = Counter(volume for spec in specs for volume in _volumes(spec))
    shared = frozenset(volume for volume, count in mounted.items() if count > 1)
    named, pods = _named(specs)
    called = {spec.name: pods.get(spec.template.pod, named[spec.name]) for spec in specs}
    awaited = {
        name for spec in specs for name, each in spec.depends_on.items() if each is DependencyCondition.COMPLETED
    }
    for group in _groups(specs):
        members = [
            Member(
                spec,
                ServiceNames(
                    stack=stack.name,
                    name=named[spec.name],
                    pod=pods.get(spec.template.pod, ""),
                    pods=called,
                    taken=frozenset([*named.values(), *pods.values()]),
                    volumes=distinct_names(sorted(mounted)),
                    shared_volumes=shared,
                ),
                notes.of(spec.name),
                spec.name in awaited,
            )
            for spec in group
        ]
        documents += _of_group(members, reveal)
    return Exported(_distinct(documents), tuple(notes.found))


@dataclass(frozen=True, slots=True)
class Member:
    """A service, beside those that share its pods."""

    spec: ServiceSpec
    names: ServiceNames
    notes: ServiceNotes
    is_awaited: bool


def _named(specs: Sequence[ServiceSpec]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What services are called there, and what pods are."""
    services = [spec.name for spec in specs]
    pods = sorted({spec.template.pod for spec in specs if spec.template.pod})
    names = distinct_names([*services, *(f"{pod}-pod" for pod in pods)])
    return {name: names[name] for name in services}, {pod: names[f"{pod}-pod"] for pod in pods}


def _groups(specs: Sequence[ServiceSpec]) -> list[list[ServiceSpec]]:
    """Services that share a pod together, the most important first: its priority is the pod's."""
    groups: dict[str, list[ServiceSpec]] = {}
    for spec in specs:
        groups.setdefault(f"pod {spec.template.pod}" if spec.template.pod else spec.name, []).append(spec)
    return [sorted(group, key=lambda spec: (-spec.priority, spec.name)) for group in groups.values()]


def _volumes(spec: ServiceSpec) -> set[str]:
    return {mount.source for mount in spec.template.mounts if mount.kind is MountKind.VOLUME and mount.source}


def _of_group(members: Sequence[Member], reveal: bool) -> list[Document]:
    documents: list[Document] = []
    pods: list[Document] = []
    has_claims = False
    for each in members:
        spec, names, notes = each.spec, each.names, each.notes
        _note_what_is_lost(each)
        storage = storage_of(spec, names, reveal, notes)
        has_claims |= storage.claims
        documents += storage.documents
        if spec.job is None:
            documents += [*services_of(spec, names, notes), *ingress_of(spec, names)]
        pods.append(pod_of(spec, names, storage, restart_policy(spec, each.is_awaited), notes))
    first = members[0]
    documents.append(
        workload_of(
            first.spec,
            first.names.of_pod(),
            merged(pods),
            first.notes,
            is_awaited=first.is_awaited,
            has_claims=has_claims,
        )
    )
    return [
        *documents,
        *autoscaler_of(first.spec, first.names.of_pod(), first.notes),
        *budget_of(first.spec, first.names.of_pod()),
    ]


def _note_what_is_lost(member: Member) -> None:
    spec, notes = member.spec, member.notes
    renamed = member.names.name != spec.name
    notes.add_if(renamed, "", f"is called {member.names.name} there, also by other services")
    notes.add_if(
        spec.depends_on, "depends_on", "pods start in any order: its program has to wait, or to end and be restarted"
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
