"""Filters on what a node is: its labels and names, its platform."""

from collections.abc import Iterable
from typing import ClassVar

from swarmlet.model.placement import ARCHITECTURE as ARCHITECTURE_ATTRIBUTE
from swarmlet.model.placement import LABEL_PREFIX, Constraint, architecture
from swarmlet.scheduler.cluster import Cluster
from swarmlet.scheduler.nodes import NodeView, PlacementRequest
from swarmlet.scheduler.rules import Refusing


class ConstraintsHold:
    """`deploy.placement.constraints`: all of them."""

    name: ClassVar[str] = "constraints-hold"
    fixed: ClassVar[bool] = True

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        if not request.placement.constraints:
            return
        constraints = [(constraint, normal(constraint)) for constraint in request.placement.constraints]

        def refusal(node: NodeView) -> str | None:
            for written, constraint in constraints:
                found = node.attribute(constraint.attribute)
                if not constraint.holds(found):
                    return f"{written} is not so: {_found(constraint.attribute, found)}"
            return None

        yield Refusing(refusal)


def normal(constraint: Constraint) -> Constraint:
    """Architectures have several names; nodes are known by the one that images use."""
    if constraint.attribute != ARCHITECTURE_ATTRIBUTE:
        return constraint
    return constraint.model_copy(update={"value": architecture(constraint.value)})


def _found(attribute: str, found: str) -> str:
    if found:
        return f"it is {found}"
    return "it has no such label" if attribute.startswith(LABEL_PREFIX) else "that is not known yet"


class PlatformMatches:
    """`platform`: the operating system, and the architecture where one is named."""

    name: ClassVar[str] = "platform-matches"
    fixed: ClassVar[bool] = True

    def refusing(self, request: PlacementRequest, cluster: Cluster) -> Iterable[Refusing]:
        if not request.placement.platform:
            return
        os, _, rest = request.placement.platform.partition("/")
        wanted = architecture(rest.partition("/")[0])

        def refusal(node: NodeView) -> str | None:
            if node.os == os and wanted in ("", node.architecture):
                return None
            found = f"is {node.os}/{node.architecture}" if node.os else "has a platform that is not known yet"
            return f"{found}, not {request.placement.platform}"

        yield Refusing(refusal)
