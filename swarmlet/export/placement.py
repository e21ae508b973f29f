"""Where pods may run: node affinity, pod affinity, spread, tolerations, priority."""

from collections.abc import Iterable

from swarmlet.export.document import Document, ServiceNotes, said
from swarmlet.export.metadata import NAME_LABEL, STACK_LABEL, ServiceNames
from swarmlet.export.names import dns_name
from swarmlet.model.placement import (
    ARCHITECTURE,
    HOSTNAME,
    LABEL_PREFIX,
    NODE_ID,
    OS,
    ROLE,
    ZONE,
    Constraint,
    ServiceAffinity,
    Strategy,
    TaintEffect,
    Toleration,
)
from swarmlet.model.spec import ServiceSpec

NODE = "kubernetes.io/hostname"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
MANAGER = "manager"
_LABELS = {
    HOSTNAME: NODE,
    NODE_ID: NODE,
    ARCHITECTURE: "kubernetes.io/arch",
    OS: "kubernetes.io/os",
    ZONE: "topology.kubernetes.io/zone",
}
_EFFECTS = {TaintEffect.NO_SCHEDULE: "NoSchedule", TaintEffect.NO_EXECUTE: "NoExecute"}
_CONSTRAINTS = "deploy.placement.constraints"
_AFFINITY = "x-swarmlet.placement.affinity"


def placement_of(spec: ServiceSpec, names: ServiceNames, notes: ServiceNotes) -> Document:
    placement = spec.placement
    notes.add_if(
        placement.strategy is Strategy.BINPACK, "x-swarmlet.placement.strategy", "is a setting of the whole scheduler"
    )
    return said(
        {
            "affinity": _affinity(spec, names, notes),
            "topologySpreadConstraints": [_spread(label, names) for label in placement.spread],
            "tolerations": [_toleration(each, notes) for each in placement.tolerations],
            "priorityClassName": priority_class(spec.priority),
        }
    )


def priority_class(priority: int) -> str | None:
    if not priority:
        return None
    return f"swarmlet-{'minus-' if priority < 0 else ''}{abs(priority)}"


def priority_document(priority: int) -> Document:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": priority_class(priority)},
        "value": priority,
    }


def label_of(attribute: str) -> str:
    """A node's label there. `zone` is what Kubernetes has a label of its own for."""
    return _LABELS.get(attribute) or attribute.removeprefix(LABEL_PREFIX)


def _affinity(spec: ServiceSpec, names: ServiceNames, notes: ServiceNotes) -> Document:
    placement = spec.placement
    required = [_expression(each, notes) for each in (*placement.constraints, *_platform(placement.platform))]
    preferred = []
    for each in placement.preferences:
        wanted = each.constraint.model_copy(update={"equal": each.constraint.equal is not each.away})
        preferred.append({"weight": each.weight, "preference": {"matchExpressions": [_expression(wanted, notes)]}})
    terms = {"nodeSelectorTerms": [{"matchExpressions": required}]} if required else None
    nodes = said(
        {
            "requiredDuringSchedulingIgnoredDuringExecution": terms,
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        }
    )
    beside = [each for each in placement.affinities if not each.away]
    away = [each for each in placement.affinities if each.away]
    own = _one_a_node(spec, names, notes)
    return said(
        {
            "nodeAffinity": nodes,
            "podAffinity": _pods(beside, names, notes),
            "podAntiAffinity": _pods(away, names, notes, own),
        }
    )


def _platform(platform: str) -> Iterable[Constraint]:
    system, _, machine = platform.partition("/")
    for attribute, value in ((OS, system), (ARCHITECTURE, machine)):
        if value:
            yield Constraint(attribute=attribute, value=value)


def _expression(constraint: Constraint, notes: ServiceNotes) -> Document:
    if constraint.attribute == ROLE:
        is_manager = constraint.holds(MANAGER)
        notes.add(_CONSTRAINTS, f"node.role is taken as the label {CONTROL_PLANE}")
        return {"key": CONTROL_PLANE, "operator": "Exists" if is_manager else "DoesNotExist"}
    notes.add_if(constraint.attribute == NODE_ID, _CONSTRAINTS, f"node.id is taken as {NODE}: write the node's name")
    operator = "In" if constraint.equal else "NotIn"
    return {"key": label_of(constraint.attribute), "operator": operator, "values": [constraint.value]}


def _pods(
    affinities: Iterable[ServiceAffinity], names: ServiceNames, notes: ServiceNotes, more: Iterable[Document] = ()
) -> Document:
    required, preferred = list(more), []
    for each in affinities:
        term = _term(each, names)
        if each.required:
            required.append(term)
        else:
            preferred.append({"weight": each.weight, "podAffinityTerm": term})
        other = each.service.partition(".")[0] != names.stack
        notes.add_if(other, _AFFINITY, f"{each.service} is found only in the same namespace")
    return said(
        {
            "requiredDuringSchedulingIgnoredDuringExecution": required,
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        }
    )


def _term(affinity: ServiceAffinity, names: ServiceNames) -> Document:
    stack, _, name = affinity.service.partition(".")
    called = names.pods.get(name) if stack == names.stack else None
    labels = {NAME_LABEL: called or dns_name(name), STACK_LABEL: dns_name(stack)}
    return {"labelSelector": {"matchLabels": labels}, "topologyKey": label_of(affinity.per)}


def _one_a_node(spec: ServiceSpec, names: ServiceNames, notes: ServiceNotes) -> list[Document]:
    limit = spec.placement.per_node_max
    if limit == 1:
        return [{"labelSelector": {"matchLabels": names.selector()}, "topologyKey": NODE}]
    notes.add_if(limit, "deploy.placement.max_replicas_per_node", "can be said of 1 only: left out")
    return []


def _spread(attribute: str, names: ServiceNames) -> Document:
    return {
        "maxSkew": 1,
        "topologyKey": label_of(attribute),
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": names.selector()},
    }


def _toleration(toleration: Toleration, notes: ServiceNotes) -> Document:
    """Without a key it has to be one of every value."""
    value = toleration.value if toleration.key else None
    notes.add_if(
        value != toleration.value,
        "x-swarmlet.tolerations",
        f"the value {toleration.value!r} can't be said without a key: taints of every value are tolerated there",
    )
    return said(
        {
            "key": toleration.key or None,
            "operator": "Exists" if value is None else "Equal",
            "value": value,
            "effect": _EFFECTS[toleration.effect] if toleration.effect else None,
        }
    )
