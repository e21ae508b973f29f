"""A stack as Kubernetes' manifests, for version 1.30 and later.

Rules:
- Names are the stack's own; no namespace is said: `kubectl apply -n NAME` chooses it.
- What a service needs comes before what runs it, so that the text can be applied in its order.
- Contents of secrets are written only where they are revealed.
"""

from collections import Counter
from collections.abc import Iterable

from swarmlet.export.document import Document, Exported, Notes
from swarmlet.export.leftovers import note_leftovers
from swarmlet.export.metadata import ServiceNames
from swarmlet.export.names import distinct_names
from swarmlet.export.network import ingress_of, services_of
from swarmlet.export.placement import priority_document
from swarmlet.export.scaling import autoscaler_of, budget_of
from swarmlet.export.storage import storage_of
from swarmlet.export.workload import workload_of
from swarmlet.model.spec import DependencyCondition, MountKind, ServiceSpec, StackSpec


def to_kubernetes(stack: StackSpec, *, reveal: bool) -> Exported:
    """`reveal`: with the contents of its secrets."""
    notes = Notes()
    specs = [spec for _, spec in sorted(stack.services.items())]
    documents: list[Document] = [
        priority_document(priority) for priority in sorted({spec.priority for spec in specs}) if priority
    ]
    called = distinct_names(spec.name for spec in specs)
    mounted = Counter(volume for spec in specs for volume in _volumes(spec))
    volumes = distinct_names(sorted(mounted))
    shared = frozenset(volume for volume, count in mounted.items() if count > 1)
    awaited = {
        name for spec in specs for name, each in spec.depends_on.items() if each is DependencyCondition.COMPLETED
    }
    for spec in specs:
        names = ServiceNames(stack.name, called[spec.name], called, volumes, shared)
        documents += _of_service(spec, names, notes, reveal, spec.name in awaited)
    return Exported(_distinct(documents), tuple(notes.found))


def _volumes(spec: ServiceSpec) -> set[str]:
    return {mount.source for mount in spec.template.mounts if mount.kind is MountKind.VOLUME and mount.source}


def _of_service(spec: ServiceSpec, names: ServiceNames, notes: Notes, reveal: bool, is_awaited: bool) -> list[Document]:
    own = notes.of(spec.name)
    own.add_if(names.name != spec.name, "", f"is called {names.name} there, also by other services")
    own.add_if(
        spec.depends_on, "depends_on", "pods start in any order: its program has to wait, or to end and be restarted"
    )
    own.add_if(spec.restarts_with, "depends_on", "pods are not restarted with those they depend on")
    note_leftovers(spec, own)
    storage = storage_of(spec, names, reveal, own)
    return [
        *storage.documents,
        *services_of(spec, names, own),
        *ingress_of(spec, names),
        workload_of(spec, names, storage, own, is_awaited=is_awaited),
        *autoscaler_of(spec, names, own),
        *budget_of(spec, names),
    ]


def _distinct(documents: Iterable[Document]) -> tuple[Document, ...]:
    """A volume that several services mount is claimed once."""
    return tuple({(each["kind"], each["metadata"]["name"]): each for each in reversed(list(documents))}.values())[::-1]
