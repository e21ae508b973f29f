"""Whether a node is what a service asks for: its platform and its constraints, whatever became of the node.

Rules: a node whose facts have not arrived is what it should be, until it says otherwise. Who votes may change by
itself; so `node.role` decides where a task is placed, and never that it has to leave.
"""

from collections.abc import Mapping

from swarmlet.controllers.node_views import request_of
from swarmlet.model.ids import NodeId, ServiceId
from swarmlet.model.placement import ROLE
from swarmlet.model.spec import ServiceSpec
from swarmlet.scheduler import BELONGING, Cluster, NodeView, Prepared, Rules

_RULES = Rules(BELONGING, ())
_NO_CLUSTER = Cluster(())
_NOBODY = ServiceId("")


class Belonging:
    def __init__(self, nodes: Mapping[NodeId, NodeView]) -> None:
        self._nodes = nodes
        self._found: dict[tuple[int, NodeId], tuple[ServiceSpec, str]] = {}
        """By the identity of the specification, which is kept so that it stays its own."""

    def why_not(self, spec: ServiceSpec, node: NodeId) -> str:
        """Empty where the node is one for the service."""
        if not spec.placement.constraints and not spec.placement.platform:
            return ""
        view = self._nodes.get(node)
        if view is None or view.capacity is None:
            return ""
        key = (id(spec), node)
        if key not in self._found:
            self._found[key] = spec, _why_not(spec, view)
        return self._found[key][1]


def _why_not(spec: ServiceSpec, node: NodeView) -> str:
    lasting = tuple(each for each in spec.placement.constraints if each.attribute != ROLE)
    placement = spec.placement.model_copy(update={"constraints": lasting})
    request = request_of(_NOBODY, spec.template, spec.model_copy(update={"placement": placement}))
    refusal = Prepared.of(request, _NO_CLUSTER, _RULES).refusal(node)
    return f"{node.name}: {refusal}" if refusal else ""
