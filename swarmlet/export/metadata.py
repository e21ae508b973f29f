"""Names and labels of a service's objects. Labels are those that Kubernetes recommends; two of them select its pods."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from swarmlet.export.document import Document
from swarmlet.export.names import LENGTH_MAX, distinct_names, dns_name

NAME_LABEL = "app.kubernetes.io/name"
STACK_LABEL = "app.kubernetes.io/part-of"
MANAGER_LABEL = "app.kubernetes.io/managed-by"
REVISION_ANNOTATION = "swarmlet/revision"


@dataclass(frozen=True, slots=True)
class ServiceNames:
    stack: str
    name: str
    """The service's, as Kubernetes takes it."""
    pod: str = ""
    """The name of the pods that it shares with other services; empty: its pods are its own."""
    pods: Mapping[str, str] = field(default_factory=dict)
    """What the pods of each service of the stack are called, by the services' own names."""
    taken: frozenset[str] = frozenset()
    """What all services and pods of the stack are called."""
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Of claims, by the volumes' full names."""
    shared_volumes: frozenset[str] = frozenset()
    """Those that pods of several kinds mount."""

    def selector(self) -> dict[str, str]:
        """Of its pods."""
        return {NAME_LABEL: self.pod or self.name, STACK_LABEL: dns_name(self.stack)}

    def other(self, what: str) -> str:
        """Of a further object of the service."""
        name = f"{self.name}-{what}"
        return distinct_names([name], LENGTH_MAX, self.taken)[name]

    def metadata(self, name: str | None = None) -> Document:
        labels = {NAME_LABEL: self.name, STACK_LABEL: dns_name(self.stack), MANAGER_LABEL: "swarmlet"}
        return {"name": name or self.name, "labels": labels}

    def of_pod(self) -> "ServiceNames":
        """For what is the pods', and not one member's."""
        return replace(self, name=self.pod) if self.pod else self
