"""Names and labels of a service's objects. Labels are those that Kubernetes recommends; two of them select its pods."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmlet.export.document import Document
from swarmlet.export.names import dns_name

NAME_LABEL = "app.kubernetes.io/name"
STACK_LABEL = "app.kubernetes.io/part-of"
MANAGER_LABEL = "app.kubernetes.io/managed-by"
REVISION_ANNOTATION = "swarmlet/revision"


@dataclass(frozen=True, slots=True)
class ServiceNames:
    stack: str
    name: str
    """The service's, as Kubernetes takes it."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Of all services of the stack, by their own names."""
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Of claims, by the volumes' full names."""
    shared_volumes: frozenset[str] = frozenset()
    """Those that several services mount."""

    def selector(self) -> dict[str, str]:
        return {NAME_LABEL: self.name, STACK_LABEL: dns_name(self.stack)}

    def other(self, what: str) -> str:
        return f"{self.name}-{what}"

    def metadata(self, name: str | None = None) -> Document:
        return {"name": name or self.name, "labels": {**self.selector(), MANAGER_LABEL: "swarmlet"}}
