"""The parser: Compose files' texts in, the stack they declare out, or what is wrong with them.

Stages: one tree from all files (`assembly`), then readers for each part of it. From interpolation on, faults are
collected, so that the one reported is the first in the file, and `check_stack` can report all.
Pure: contents of other files and all variables are handed in (`inputs` says which a stack needs).
"""

import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from swarmlet.model.compose.assembly import Assembly, Source
from swarmlet.model.compose.dependencies import Dependency, resolve
from swarmlet.model.compose.environment import EnvironmentReader
from swarmlet.model.compose.errors import ComposeError, ComposeWarning, refusal, refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Entry, Node, below, is_null, shown
from swarmlet.model.compose.mounts import MountReader
from swarmlet.model.compose.networks import DEFAULT, read_networks
from swarmlet.model.compose.ports import PortReader
from swarmlet.model.compose.scalars import mapping, string
from swarmlet.model.compose.service import Declared, ServiceReader, WrittenService
from swarmlet.model.compose.stored_files import Stored, StoredFiles
from swarmlet.model.compose.volumes import read_volumes
from swarmlet.model.ids import NAME_PATTERN
from swarmlet.model.pods import pod_faults
from swarmlet.model.spec import DependencyCondition, RestartCondition, ServiceSpec, StackSpec

_NAME = re.compile(NAME_PATTERN)
_NAME_REMEDY = "write up to 63 lower-case letters, digits, - and _ (a letter or digit first and last)"
STACK_VARIABLE = "COMPOSE_PROJECT_NAME"
"""Compose sets it to the project's name; here it is the stack's, unless the deployer sets it."""
HOME_VARIABLE = "HOME"
ALL_PROFILES = "*"


class Unbuilt(StrEnum):
    """What becomes of services that have a `build` and name no image: nobody builds here."""

    REFUSE = "refuse"
    EXPECT = "expect"
    """Their images are on every node, or will be."""
    SKIP = "skip"
    """They are left out."""


@dataclass(frozen=True, slots=True)
class Given:
    """What comes from the deployer's machine beside the Compose file, its variables and its files of text."""

    overrides: tuple[Source, ...] = ()
    """More Compose files, merged into the first in order."""
    contents: MappingOf[str, str] = field(default_factory=dict)
    """Of configs' and secrets' files, in base64, by path."""
    profiles: frozenset[str] = frozenset()
    """Those that are active."""
    folder: str = ""
    """Where the first Compose file lies, absolute; empty: not known, and relative paths of mounts are refused."""
    unbuilt: Unbuilt = Unbuilt.REFUSE


@dataclass(frozen=True, slots=True)
class ParsedStack:
    spec: StackSpec
    warnings: tuple[ComposeWarning, ...]
    unbuilt: MappingOf[str, str] = field(default_factory=dict)
    """Images that somebody must build, by service."""


@dataclass(frozen=True, slots=True)
class CheckedStack:
    """All that can be said of a stack without deploying it."""

    errors: tuple[ComposeError, ...]
    warnings: tuple[ComposeWarning, ...]
    unbuilt: MappingOf[str, str] = field(default_factory=dict)


NOTHING_GIVEN = Given()


def parse_stack(
    stack: str,
    text: str,
    filename: str,
    variables: MappingOf[str, str],
    files: MappingOf[str, str],
    given: Given = NOTHING_GIVEN,
) -> ParsedStack:
    """The stack `stack` as the text declares it.

    `variables` fill `${…}`, `files` holds texts (env files, label files, other Compose files) by their path as seen
    from the stack's folder. Raises `ComposeError`.
    """
    findings = Findings(filename)
    reading = _Reading(stack, variables, files, given, findings, deploying=True)
    services = reading.services(Source(filename, text))
    findings.raise_first()
    return ParsedStack(StackSpec(name=stack, services=services), findings.warnings(), reading.unbuilt)


def check_stack(
    stack: str,
    text: str,
    filename: str,
    variables: MappingOf[str, str],
    files: MappingOf[str, str],
    given: Given = NOTHING_GIVEN,
) -> CheckedStack:
    """All faults and all warnings. What only a deploy needs (contents, images) is warned of. Never raises."""
    findings = Findings(filename)
    reading = _Reading(stack, variables, files, given, findings, deploying=False)
    try:
        reading.services(Source(filename, text))
    except ComposeError as error:
        findings.note(error)
    return CheckedStack(findings.errors(), findings.warnings(), reading.unbuilt)


K = TypeVar("K")


@dataclass(slots=True)
class _Reading:
    stack: str
    variables: MappingOf[str, str]
    files: MappingOf[str, str]
    given: Given
    findings: Findings
    deploying: bool
    unbuilt: dict[str, str] = field(default_factory=dict)

    def services(self, source: Source) -> dict[str, ServiceSpec]:
        if not _is_name(self.stack):
            raise ComposeError(source.filename, 1, 1, "", f"{shown(self.stack)} is no name for a stack, {_NAME_REMEDY}")
        known = {STACK_VARIABLE: self.stack, **self.variables}
        assembly = Assembly(self.files, self.findings)
        root = assembly.stack((source, *self.given.overrides), known)
        with self.findings.collecting():
            return self._of_root(root, known, frozenset(assembly.broken))
        return {}

    def _of_root(self, root: Node, known: MappingOf[str, str], broken: frozenset[str]) -> dict[str, ServiceSpec]:
        findings = self.findings
        fields = Fields(root, "", findings)
        fields.read("name", self._check_name, None)
        volumes: MappingOf[str, str] | None = {}
        if fields.has("volumes"):
            volumes = fields.read("volumes", self._volumes, None)
        ports = PortReader(findings)
        mounts = MountReader(volumes, findings, self.given.folder, known.get(HOME_VARIABLE, ""))
        environment = EnvironmentReader(known, self.files, findings)
        reader = ServiceReader(self.stack, environment, mounts, ports, self._declared(fields, known), findings)
        written = fields.require("services", lambda node: self._written(node, reader, broken), "")
        left_out = {name: service for name, service in written.items() if service and not self._is_active(service)}
        wanted = self._with_images({name: service for name, service in written.items() if name not in left_out})
        for name, service in wanted.items():
            if service is not None:
                ports.take(name, service.ports)
        depends_on = self._depends_on(wanted, left_out)
        awaited = {name for wants in depends_on.values() for name in wants if wants[name] is _COMPLETED}
        specs = {
            name: service.spec(depends_on[name], name in awaited)
            for name, service in wanted.items()
            if service is not None
        }
        self._check_pods(wanted, specs)
        return specs

    def _check_pods(self, written: MappingOf[str, WrittenService | None], specs: MappingOf[str, ServiceSpec]) -> None:
        for fault in pod_faults(specs.values()):
            service = written[fault.service]
            assert service is not None and service.extension.pod_node is not None, "else it would be in no pod"
            self.findings.refuse(refused(service.extension.pod_node, str(fault)))

    def _declared(self, fields: Fields, known: MappingOf[str, str]) -> Declared:
        stored = StoredFiles(known, self.given.contents, not self.deploying, self.findings)
        files: dict[str, MappingOf[str, Stored | None]] = {}
        for kind in ("configs", "secrets"):
            files[kind] = fields.read(kind, lambda node, kind=kind: stored.declared(node, kind), {})  # type: ignore[misc]
        networks: frozenset[str] | None = frozenset({DEFAULT})
        if fields.has("networks"):
            networks = fields.read("networks", lambda node: read_networks(node, self.findings), None)
        return Declared(stored, files, networks)

    def _volumes(self, node: Node) -> MappingOf[str, str]:
        return {} if is_null(node) else read_volumes(node, self.stack, self.findings)

    def _written(self, node: Node, reader: ServiceReader, broken: frozenset[str]) -> dict[str, WrittenService | None]:
        """The services by name; None for one that could not be read, which others may still refer to."""
        entries = mapping(node).entries
        if not entries:
            raise refused(node, "declares no service, write at least one")
        written: dict[str, WrittenService | None] = {}
        for entry in entries:
            written[entry.key] = None
            if entry.key not in broken:
                with self.findings.collecting():
                    self._check_service_name(entry, node.path)
                    written[entry.key] = reader.read(entry.key, entry.value)
        return written

    def _is_active(self, service: WrittenService) -> bool:
        active = self.given.profiles
        return not service.profiles or ALL_PROFILES in active or bool(service.profiles & active)

    def _with_images(self, services: dict[str, WrittenService | None]) -> dict[str, WrittenService | None]:
        """Without those whose images nobody has, if they are to be skipped. Raises `ComposeError` naming them all."""
        unbuilt = {name: service for name, service in services.items() if service and service.unbuilt}
        self.unbuilt = {name: service.template.image for name, service in unbuilt.items()}
        if not unbuilt or not self.deploying or self.given.unbuilt is Unbuilt.EXPECT:
            return services
        if self.given.unbuilt is Unbuilt.SKIP:
            return {name: service for name, service in services.items() if name not in unbuilt}
        images = ", ".join(f"{name} as {image}" for name, image in list(self.unbuilt.items())[:_NAMED_MAX])
        first = next(service.unbuilt for service in unbuilt.values())
        assert first is not None
        self.findings.refuse(
            refused(
                first,
                f"images are not built here, and these have to be on every node: {images}; build them and deploy with "
                "'--unbuilt expect', write 'image' for those that a registry has, or leave these services out with "
                "'--unbuilt skip'",
            )
        )
        return services

    def _check_service_name(self, entry: Entry, path: str) -> None:
        if not _is_name(entry.key):
            message = f"{shown(entry.key)} is no name for a service, {_NAME_REMEDY}"
            raise refusal(entry.key_place, below(path, entry.key), message)

    def _depends_on(
        self, written: MappingOf[str, WrittenService | None], left_out: MappingOf[str, WrittenService | None]
    ) -> MappingOf[str, dict[str, DependencyCondition]]:
        dependencies: dict[str, tuple[Dependency, ...]] = {}
        for name, service in written.items():
            kept: list[Dependency] = []
            for dependency in service.dependencies if service else ():
                self._warn_of_unprobed(dependency, written.get(dependency.service))
                self._refuse_endless(dependency, written.get(dependency.service))
                if not self._refuse_left_out(dependency, left_out.get(dependency.service)):
                    kept.append(dependency)
            dependencies[name] = tuple(kept)
        return resolve(dependencies, self.findings)

    def _refuse_left_out(self, dependency: Dependency, service: WrittenService | None) -> bool:
        if service is None or not dependency.required:
            return service is not None
        profile = min(service.profiles)
        message = (
            f"{service.name} is left out, since none of its profiles is active: deploy with '--profile {profile}', or "
            "write 'required: false'"
        )
        self.findings.refuse(refused(dependency.node, message))
        return True

    def _warn_of_unprobed(self, dependency: Dependency, service: WrittenService | None) -> None:
        if dependency.condition is DependencyCondition.HEALTHY and service and service.template.health_check is None:
            message = f"{service.name} has no health check and counts as healthy as soon as it runs, write one there"
            self.findings.warn(dependency.node.place, dependency.node.path, message)

    def _refuse_endless(self, dependency: Dependency, service: WrittenService | None) -> None:
        if dependency.condition is not _COMPLETED or service is None or service.restart is None:
            return
        if service.template.restart.condition is RestartCondition.ALWAYS:
            message = (
                f"{service.name} is started again whenever it ends, so nothing may wait for its end: write "
                "'restart: on-failure' or 'restart: \"no\"' there"
            )
            self.findings.refuse(refused(dependency.node, message))

    def _check_name(self, node: Node) -> None:
        name = string(node)
        if name != self.stack:
            message = f"the stack is deployed as {shown(self.stack)}, not as {shown(name)}: the command's name counts"
            self.findings.warn(node.place, node.path, message)


_COMPLETED = DependencyCondition.COMPLETED
_NAMED_MAX = 20
"""Images in one message."""


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None
