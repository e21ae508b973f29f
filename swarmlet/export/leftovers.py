"""What is set and nobody here has read becomes a note, so that a field that is added to the model is never dropped
silently: whoever adds one says it in a manifest, or leaves it to this."""

from collections.abc import Iterable

from swarmlet.export.document import ServiceNotes
from swarmlet.model.container import ContainerOptions
from swarmlet.model.frozen import Frozen
from swarmlet.model.spec import ServiceSpec, TaskTemplate

SERVICE_FIELDS = frozenset(
    [
        "name",
        "template",
        "mode",
        "replicas",
        "depends_on",
        "optional_dependencies",
        "restarts_with",
        "rollout",
        "max_unavailable",
        "placement",
        "priority",
        "autoscale",
        "ingress",
        "job",
    ]
)
TEMPLATE_FIELDS = frozenset(
    [
        "image",
        "entrypoint",
        "command",
        "environment",
        "ports",
        "mounts",
        "health_check",
        "readiness",
        "labels",
        "restart",
        "stop_grace_period_s",
        "user",
        "working_dir",
        "read_only",
        "cap_add",
        "cap_drop",
        "limits",
        "reservations",
        "pull_policy",
        "options",
        "files",
        "scraped_ports",
        "bound_to",
        "pod",
        "exclusive",
    ]
)
OPTIONS_FIELDS = frozenset(
    [
        "init",
        "hostname",
        "domainname",
        "extra_hosts",
        "dns",
        "dns_search",
        "dns_options",
        "network",
        "host_namespaces",
        "ulimits",
        "sysctls",
        "devices",
        "group_add",
        "privileged",
        "security",
        "shm_size_bytes",
        "cpu_shares",
        "cpuset",
        "oom_score_adj",
        "stop_signal",
        "tty",
        "stdin_open",
        "annotations",
        "logging",
    ]
)
"""All that is read: into a manifest, or into a note that says more than this one does."""


def note_leftovers(spec: ServiceSpec, notes: ServiceNotes) -> None:
    template = spec.template
    for part, known in ((spec, SERVICE_FIELDS), (template, TEMPLATE_FIELDS), (template.options, OPTIONS_FIELDS)):
        for name in _left_over(part, known):
            notes.add(name, "can't be said in these manifests (yet): left out")


def _left_over(part: ServiceSpec | TaskTemplate | ContainerOptions, known: Iterable[str]) -> list[str]:
    fields = type(part).model_fields
    return [name for name in fields if name not in known and not _is_default(part, name)]


def _is_default(part: Frozen, name: str) -> bool:
    return bool(getattr(part, name) == type(part).model_fields[name].get_default(call_default_factory=True))
