"""How a service is reached: by its name from within, by its published ports from outside, by HTTP hosts and paths.

From within, every port answers under the service's name, published or not, as in Compose: a headless Service.
"""

from swarmlet.export.document import Document, ServiceNotes
from swarmlet.export.metadata import ServiceNames
from swarmlet.model.spec import PublishedPort, ServiceSpec

ANYWHERE = frozenset({"", "0.0.0.0", "::"})


def services_of(spec: ServiceSpec, names: ServiceNames, notes: ServiceNotes) -> list[Document]:
    ports = spec.template.ports
    targets = sorted({port.target for port in ports})
    inside = {
        "clusterIP": "None",
        "selector": names.selector(),
        "ports": [{"name": f"port-{port}", "port": port, "targetPort": port} for port in targets],
    }
    documents = [_service(names, names.name, inside if targets else {**inside, "ports": []})]
    public = [port for port in ports if port.host_address in ANYWHERE]
    private = [port for port in ports if port not in public]
    if public:
        documents.append(_service(names, names.other("published"), _published(names, public, "LoadBalancer")))
    if private:
        documents.append(_service(names, names.other("private"), _published(names, private, "ClusterIP")))
        listened = ", ".join(f"{port.host_address}:{port.published}" for port in private)
        notes.add("ports", f"{listened}: no Service listens on one address of a node, so they answer inside only")
    return documents


def _published(names: ServiceNames, ports: list[PublishedPort], kind: str) -> Document:
    distinct = {port.published: port for port in ports}
    return {
        "type": kind,
        "selector": names.selector(),
        "ports": [
            {"name": f"port-{published}", "port": published, "targetPort": port.target, "protocol": "TCP"}
            for published, port in sorted(distinct.items())
        ],
    }


def _service(names: ServiceNames, name: str, spec: Document) -> Document:
    kept = {key: value for key, value in spec.items() if value != []}
    return {"apiVersion": "v1", "kind": "Service", "metadata": names.metadata(name), "spec": kept}


def ingress_of(spec: ServiceSpec, names: ServiceNames) -> list[Document]:
    if not spec.ingress:
        return []
    targets = sorted({route.port for route in spec.ingress})
    backend = names.other("http")
    inside = {
        "selector": names.selector(),
        "ports": [{"name": f"port-{port}", "port": port, "targetPort": port} for port in targets],
    }
    rules = []
    for host in sorted({route.host for route in spec.ingress}):
        paths = [
            {
                "path": route.path,
                "pathType": "Prefix",
                "backend": {"service": {"name": backend, "port": {"number": route.port}}},
            }
            for route in spec.ingress
            if route.host == host
        ]
        rules.append({**({"host": host} if host else {}), "http": {"paths": paths}})
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": names.metadata(),
        "spec": {"rules": rules},
    }
    return [_service(names, backend, inside), ingress]
