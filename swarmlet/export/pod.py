"""The pod template of a service: its container, and what belongs to the pod as a whole."""

from swarmlet.export.container import container_of
from swarmlet.export.document import Document, ServiceNotes, said
from swarmlet.export.members import Member
from swarmlet.export.metadata import REVISION_ANNOTATION
from swarmlet.export.names import dns_name, is_label, is_label_key
from swarmlet.export.placement import placement_of
from swarmlet.export.quantities import seconds
from swarmlet.export.security import host_namespaces, pod_security
from swarmlet.export.storage import Storage
from swarmlet.model.container import ContainerOptions
from swarmlet.model.spec import TaskTemplate

CONTAINERS, INITS = "containers", "initContainers"


def pod_of(member: Member, storage: Storage, restart: str, *, is_init: bool) -> Document:
    """As if it had its pod for itself."""
    spec, names, notes = member.spec, member.names, member.notes
    template = spec.template
    labels, annotations = _metadata(template, notes)
    return {
        "metadata": {
            "labels": {**labels, **names.selector()},
            # A changed config or secret makes another revision, and so new pods, as it does here.
            "annotations": {**annotations, REVISION_ANNOTATION: template.revision()},
        },
        "spec": said(
            {
                INITS if is_init else CONTAINERS: [
                    container_of(names.name, template, storage.mounts, notes, is_init=is_init)
                ],
                "volumes": storage.volumes,
                "restartPolicy": restart,
                # Variables like DB_PORT=tcp://…, which nobody wrote, would meet those that programs expect.
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": seconds(template.stop_grace_period_s),
                "hostname": _hostname(template.options, notes),
                "hostAliases": _aliases(template.options, notes),
                "dnsConfig": _dns(template.options, notes),
                **host_namespaces(template, notes),
                "securityContext": pod_security(template, notes),
                **placement_of(spec, names, notes),
            }
        ),
    }


def _metadata(template: TaskTemplate, notes: ServiceNotes) -> tuple[dict[str, str], dict[str, str]]:
    """Labels may hold less there than here: those that don't fit become annotations, which may hold anything."""
    labels = {key: value for key, value in template.labels.items() if is_label(key, value)}
    rest = {**template.options.annotations, **{k: v for k, v in template.labels.items() if k not in labels}}
    annotations = {key: value for key, value in rest.items() if is_label_key(key)}
    moved = [key for key in template.labels if key in annotations]
    notes.add_if(moved, "labels", f"annotations there, since values of labels are short names: {', '.join(moved)}")
    lost = [key for key in rest if key not in annotations]
    notes.add_if(lost, "labels", f"neither a label nor an annotation may be called so, left out: {', '.join(lost)}")
    return labels, annotations


def _hostname(options: ContainerOptions, notes: ServiceNotes) -> str | None:
    if not options.hostname:
        return None
    name = dns_name(options.hostname)
    notes.add_if(name != options.hostname, "hostname", f"is {name} there, where it is one DNS label")
    return name


def _aliases(options: ContainerOptions, notes: ServiceNotes) -> list[Document]:
    names: dict[str, list[str]] = {}
    for line in options.extra_hosts:
        name, _, address = line.partition(":")
        if any(mark.isalpha() for mark in address) and ":" not in address:
            notes.add("extra_hosts", f"{address} of {name} is no address: left out")
            continue
        names.setdefault(address.strip("[]"), []).append(name)
    return [{"ip": address, "hostnames": hostnames} for address, hostnames in names.items()]


def _dns(options: ContainerOptions, notes: ServiceNotes) -> Document:
    notes.add_if(options.dns, "dns", "these name servers are asked beside the cluster's own, not instead of it")
    return said(
        {
            "nameservers": list(options.dns),
            "searches": list(options.dns_search),
            "options": [_dns_option(each) for each in options.dns_options],
        }
    )


def _dns_option(option: str) -> Document:
    name, _, value = option.partition(":")
    return said({"name": name, "value": value or None})
