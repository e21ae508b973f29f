"""`depends_on`: which services start first, and that no two wait for each other."""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter

from swarmlet.model.compose.errors import ComposeError, refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Mapping, Node, shown
from swarmlet.model.compose.scalars import boolean, one_of, sequence, string
from swarmlet.model.spec import DependencyCondition

_PATTERN = "services.*.depends_on.*"
SHOWN_MAX = 9
"""Services of a cycle that are named."""


@dataclass(frozen=True, slots=True)
class Dependency:
    service: str
    condition: DependencyCondition
    required: bool
    node: Node
    restart: bool = False
    """A new revision of the dependency replaces the dependent's tasks."""


def read_dependencies(node: Node, findings: Findings) -> tuple[Dependency, ...]:
    found: list[Dependency] = []
    if isinstance(node, Mapping):
        for entry in node.entries:
            with findings.collecting():
                found.append(_long(entry.key, entry.value, findings))
        return tuple(found)
    for item in sequence(node).items:
        with findings.collecting():
            found.append(Dependency(string(item), DependencyCondition.STARTED, True, item))
    return tuple(found)


def resolve(
    written: MappingOf[str, tuple[Dependency, ...]], findings: Findings
) -> MappingOf[str, dict[str, DependencyCondition]]:
    """Per service its dependencies within the stack. Unknown services and cycles become findings."""
    resolved: dict[str, dict[str, DependencyCondition]] = {}
    for service, dependencies in written.items():
        resolved[service] = {}
        for dependency in dependencies:
            if dependency.service in written:
                resolved[service][dependency.service] = dependency.condition
            elif dependency.required:
                findings.refuse(_unknown(dependency, written))
    _refuse_cycle(written, resolved, findings)
    return resolved


def _refuse_cycle(
    written: MappingOf[str, tuple[Dependency, ...]],
    resolved: MappingOf[str, dict[str, DependencyCondition]],
    findings: Findings,
) -> None:
    try:
        TopologicalSorter(resolved).prepare()
    except CycleError as error:
        # graphlib names each node before the one that depends on it, and the first again at the end.
        cycle: list[str] = list(reversed(error.args[1]))[:-1]
        rank = {service: at for at, service in enumerate(written)}
        first = min(cycle, key=rank.__getitem__)
        at = cycle.index(first)
        cycle = [*cycle[at:], *cycle[:at], first]
        node = next(dependency.node for dependency in written[first] if dependency.service == cycle[1])
        message = f"a cycle of services that wait for each other ({_path(cycle)}), remove one of these dependencies"
        findings.refuse(refused(node, message))


def _path(cycle: list[str]) -> str:
    """Shortened in the middle: a cycle may be as long as the file."""
    return " → ".join(cycle if len(cycle) <= SHOWN_MAX else [*cycle[: SHOWN_MAX - 2], "…", cycle[-1]])


def _unknown(dependency: Dependency, services: MappingOf[str, object]) -> ComposeError:
    near = get_close_matches(dependency.service, services, n=1)
    remedy = f"write {near[0]}" if near else "write the name of one, or remove it"
    return refused(dependency.node, f"no service of this stack is called {shown(dependency.service)}, {remedy}")


def _long(service: str, node: Node, findings: Findings) -> Dependency:
    fields = Fields(node, _PATTERN, findings)
    condition = fields.require("condition", _condition, "service_started")
    required = fields.read("required", boolean(findings), True)
    return Dependency(service, condition, required, node, fields.read("restart", boolean(findings), False))


def _condition(node: Node) -> DependencyCondition:
    return DependencyCondition(one_of(*DependencyCondition)(node))
