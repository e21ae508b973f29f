"""The parser: a Compose file's text in, the stack it declares out, or the first thing that is wrong with it.

Stages: YAML with marks (`source`), aliases and merges (`expansion`), variables (`interpolation`), then readers for each
part of the file. From interpolation on, faults are collected, so that the one reported is the first in the file.
Pure: contents of other files and all variables are handed in (`inputs` says which a file needs).
"""

import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass

from swarmlet.model.compose.dependencies import Dependency, resolve
from swarmlet.model.compose.environment import EnvironmentReader
from swarmlet.model.compose.errors import ComposeError, ComposeWarning, refusal, refused
from swarmlet.model.compose.expansion import expand
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.interpolation import interpolate
from swarmlet.model.compose.marks import Entry, Node, below, is_null, shown
from swarmlet.model.compose.mounts import MountReader
from swarmlet.model.compose.ports import PortReader
from swarmlet.model.compose.scalars import mapping, string
from swarmlet.model.compose.service import ServiceReader, WrittenService
from swarmlet.model.compose.source import read_tree
from swarmlet.model.compose.volumes import read_volumes
from swarmlet.model.ids import NAME_PATTERN
from swarmlet.model.spec import DependencyCondition, ServiceSpec, StackSpec

_NAME = re.compile(NAME_PATTERN)
_NAME_REMEDY = "write up to 63 lower-case letters, digits, - and _ (a letter or digit first and last)"
STACK_VARIABLE = "COMPOSE_PROJECT_NAME"
"""Compose sets it to the project's name; here it is the stack's, unless the deployer sets it."""


@dataclass(frozen=True, slots=True)
class ParsedStack:
    spec: StackSpec
    warnings: tuple[ComposeWarning, ...]


def parse_stack(
    stack: str, text: str, filename: str, variables: MappingOf[str, str], files: MappingOf[str, str]
) -> ParsedStack:
    """The stack `stack` as the text declares it.

    `variables` fill `${…}`, `files` holds env files by their path as written. Raises `ComposeError`.
    """
    if not _is_name(stack):
        raise ComposeError(filename, 1, 1, "", f"{shown(stack)} is no name for a stack, {_NAME_REMEDY}")
    findings = Findings(filename)
    known = {STACK_VARIABLE: stack, **variables}
    root = interpolate(expand(read_tree(text, filename)), known, findings)
    reader = _StackReader(stack, EnvironmentReader(known, files, findings), findings)
    services: dict[str, ServiceSpec] = {}
    with findings.collecting():
        services = reader.services(root)
    findings.raise_first()
    return ParsedStack(StackSpec(name=stack, services=services), findings.warnings())


@dataclass(frozen=True, slots=True)
class _StackReader:
    stack: str
    environment: EnvironmentReader
    findings: Findings

    def services(self, root: Node) -> dict[str, ServiceSpec]:
        fields = Fields(root, "", self.findings)
        fields.read("name", self._check_name, None)
        volumes: MappingOf[str, str] | None = {}
        if fields.has("volumes"):
            volumes = fields.read("volumes", self._volumes, None)
        ports = PortReader(self.findings)
        reader = ServiceReader(self.environment, MountReader(volumes, self.findings), ports, self.findings)
        written = fields.require("services", lambda node: self._written(node, reader), "")
        for name, service in written.items():
            if service is not None:
                ports.take(name, service.ports)
        depends_on = self._depends_on(written)
        return {name: service.spec(depends_on[name]) for name, service in written.items() if service is not None}

    def _volumes(self, node: Node) -> MappingOf[str, str]:
        return {} if is_null(node) else read_volumes(node, self.stack, self.findings)

    def _written(self, node: Node, reader: ServiceReader) -> dict[str, WrittenService | None]:
        """The services by name; None for one that could not be read, which others may still refer to."""
        entries = mapping(node).entries
        if not entries:
            raise refused(node, "declares no service, write at least one")
        written: dict[str, WrittenService | None] = {}
        for entry in entries:
            written[entry.key] = None
            with self.findings.collecting():
                self._check_service_name(entry, node.path)
                written[entry.key] = reader.read(entry.key, entry.value)
        return written

    def _check_service_name(self, entry: Entry, path: str) -> None:
        if not _is_name(entry.key):
            message = f"{shown(entry.key)} is no name for a service, {_NAME_REMEDY}"
            raise refusal(entry.key_place, below(path, entry.key), message)

    def _depends_on(
        self, written: MappingOf[str, WrittenService | None]
    ) -> MappingOf[str, dict[str, DependencyCondition]]:
        dependencies = {name: service.dependencies if service else () for name, service in written.items()}
        for of_service in dependencies.values():
            for dependency in of_service:
                self._warn_of_unprobed(dependency, written.get(dependency.service))
        return resolve(dependencies, self.findings)

    def _warn_of_unprobed(self, dependency: Dependency, service: WrittenService | None) -> None:
        if dependency.condition is DependencyCondition.HEALTHY and service and service.template.health_check is None:
            message = f"{service.name} has no health check and counts as healthy as soon as it runs, write one there"
            self.findings.warn(dependency.node.place, dependency.node.path, message)

    def _check_name(self, node: Node) -> None:
        name = string(node)
        if name != self.stack:
            message = f"the stack is deployed as {shown(self.stack)}, not as {shown(name)}: the command's name counts"
            self.findings.warn(node.place, node.path, message)


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None
