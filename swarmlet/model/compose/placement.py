"""Where tasks may run: `deploy.placement`, `platform`, and `placement` and `tolerations` of `x-swarmlet`."""

import re
from dataclasses import dataclass

from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields, each
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Node, is_null, shown
from swarmlet.model.compose.scalars import boolean, integer, mapping, one_of, string, text
from swarmlet.model.ids import NAME_PATTERN
from swarmlet.model.placement import (
    ARCHITECTURE,
    HOSTNAME,
    LABEL_PREFIX,
    NODE_ID,
    OS,
    ROLE,
    WEIGHT_MAX,
    Constraint,
    NodePreference,
    Placement,
    ServiceAffinity,
    Strategy,
    TaintEffect,
    Toleration,
)
from swarmlet.model.spec import REPLICAS_MAX

_PLACEMENT = "services.*.deploy.placement"
_EXTENSION = "services.*.x-swarmlet.placement"
_TOLERATIONS = "services.*.x-swarmlet.tolerations[]"
_CONSTRAINT = re.compile(r"\s*(\S+?)\s*(==|!=)\s*(\S(?:.*\S)?)\s*")
_LABEL = re.compile(r"(node|engine)\.labels\.([A-Za-z0-9][A-Za-z0-9_./-]*)")
_PLATFORM = re.compile(r"[a-z0-9]+(/[a-z0-9_]+(/[a-z0-9]+)?)?")
_ATTRIBUTES = (NODE_ID, HOSTNAME, ROLE, OS, ARCHITECTURE)
_ROLES = ("manager", "worker")
_NAME = re.compile(NAME_PATTERN)
_PER_NODE = "node"


@dataclass(frozen=True, slots=True)
class PlacementExtension:
    """What stands below `x-swarmlet`."""

    strategy: Strategy = Strategy.SPREAD
    affinities: tuple[ServiceAffinity, ...] = ()
    preferences: tuple[NodePreference, ...] = ()


UNSAID_PLACEMENT = Placement()
UNSAID_EXTENSION = PlacementExtension()


def read_placement(node: Node, findings: Findings) -> Placement:
    if is_null(node):
        return UNSAID_PLACEMENT
    fields = Fields(node, _PLACEMENT, findings)
    return Placement(
        constraints=fields.read("constraints", lambda value: each(value, _constraint, findings), ()),
        spread=fields.read("preferences", lambda value: each(value, lambda one: _spread(one, findings), findings), ()),
        per_node_max=fields.read("max_replicas_per_node", integer(0, REPLICAS_MAX), 0),
    )


def read_platform(node: Node) -> str:
    written = string(node)
    if not _PLATFORM.fullmatch(written):
        raise refused(node, f"{shown(written)} is no platform, write one like linux/arm64")
    return written


def read_extension(node: Node, findings: Findings) -> PlacementExtension:
    fields = Fields(node, _EXTENSION, findings)
    affinities: list[ServiceAffinity] = []
    preferences: list[NodePreference] = []
    for key, away in (("affinity", False), ("anti_affinity", True)):
        read = fields.read(key, lambda value, away=away: _wishes(value, away, findings), ())  # type: ignore[misc]
        for wish in read:
            if isinstance(wish, ServiceAffinity):
                affinities.append(wish)
            else:
                preferences.append(wish)
    strategy = Strategy(fields.read("strategy", one_of(*Strategy), Strategy.SPREAD))
    return PlacementExtension(strategy, tuple(affinities), tuple(preferences))


def read_tolerations(node: Node, findings: Findings) -> tuple[Toleration, ...]:
    return each(node, lambda item: _toleration(item, findings), findings)


def resolve(
    stack: str, written: Placement, platform: str, extension: PlacementExtension,
    tolerations: tuple[Toleration, ...],
) -> Placement:  # fmt: skip
    """All of it together; services are named by their ids."""
    affinities = tuple(
        wish if "." in wish.service else wish.model_copy(update={"service": f"{stack}.{wish.service}"})
        for wish in extension.affinities
    )
    return written.model_copy(
        update={
            "platform": platform,
            "tolerations": tolerations,
            "affinities": affinities,
            "preferences": extension.preferences,
            "strategy": extension.strategy,
        }
    )


def beside(placement: Placement) -> list[ServiceAffinity]:
    return [wish for wish in placement.affinities if not wish.away]


def _constraint(node: Node) -> Constraint:
    written = string(node)
    found = _CONSTRAINT.fullmatch(written)
    if found is None:
        raise refused(node, f"{shown(written)} is no constraint, write one like node.labels.disk==ssd (or !=)")
    attribute, operator, value = found.groups()
    attribute = _attribute(node, attribute)
    if attribute == ROLE and value not in _ROLES:
        raise refused(node, f"{shown(value)} is no role, write manager (a node that votes) or worker")
    return Constraint(attribute=attribute, value=value, equal=operator == "==")


def _attribute(node: Node, written: str) -> str:
    label = _LABEL.fullmatch(written)
    if label is not None:
        return LABEL_PREFIX + label[2]
    if written not in _ATTRIBUTES:
        known = f"write {LABEL_PREFIX}NAME or one of {', '.join(_ATTRIBUTES)}"
        raise refused(node, f"{shown(written)} is nothing that nodes are told apart by, {known}")
    return written


def _spread(node: Node, findings: Findings) -> str:
    fields = Fields(node, f"{_PLACEMENT}.preferences[]", findings)
    return fields.require("spread", _label, "node.labels.zone")


def _label(node: Node) -> str:
    written = string(node)
    found = _LABEL.fullmatch(written)
    if found is None:
        raise refused(node, f"{shown(written)} is no label of nodes, write one like node.labels.zone")
    return LABEL_PREFIX + found[2]


def _wishes(node: Node, away: bool, findings: Findings) -> tuple[ServiceAffinity | NodePreference, ...]:
    pattern = f"{_EXTENSION}.{'anti_affinity' if away else 'affinity'}[]"
    return each(node, lambda item: _wish(item, pattern, away, findings), findings)


def _wish(node: Node, pattern: str, away: bool, findings: Findings) -> ServiceAffinity | NodePreference:
    fields = Fields(node, pattern, findings)
    service = fields.read("service", _service, "")
    liked = fields.read("node", _constraint, None)
    per = fields.read("per", _place, NODE_ID)
    required = fields.read("required", boolean(findings), service != "")
    weight = fields.read("weight", integer(1, WEIGHT_MAX), 1)
    if fields.has("service") == fields.has("node"):
        message = "must name one thing, write 'service: NAME' or 'node: node.labels.disk==ssd'"
        both = fields.value("node")
        raise refused(both, message) if both is not None else fields.lack(message)
    if liked is not None:
        if required:
            raise refused(node, "what is required of nodes is a constraint, write it in deploy.placement.constraints")
        return NodePreference(constraint=liked, away=away, weight=weight)
    return ServiceAffinity(service=service, away=away, per=per, required=required, weight=weight)


def _service(node: Node) -> str:
    written = string(node)
    if not all(_NAME.fullmatch(part) for part in written.split(".", 1)):
        raise refused(node, f"{shown(written)} is no service, write NAME (of this stack) or STACK.NAME")
    return written


def _place(node: Node) -> str:
    written = string(node)
    return NODE_ID if written == _PER_NODE else _label(node)


def _toleration(node: Node, findings: Findings) -> Toleration:
    if not mapping(node).entries:
        raise refused(node, "says nothing, write 'key: NAME' (or 'effect: no-schedule' for every taint of it)")
    fields = Fields(node, _TOLERATIONS, findings)
    effect = fields.read("effect", one_of(*TaintEffect), None)
    return Toleration(
        key=fields.read("key", string, ""),
        value=fields.read("value", text, None),
        effect=TaintEffect(effect) if effect is not None else None,
    )
