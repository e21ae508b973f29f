"""One service of a Compose file: its template and how many tasks are made of it."""

import functools
import re
import shlex
from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass

from swarmlet.model.compose.autoscale import check_autoscale, first_replicas, scraped_ports
from swarmlet.model.compose.capabilities import read_capabilities
from swarmlet.model.compose.dependencies import Dependency, read_dependencies
from swarmlet.model.compose.deploy import Deploy, read_deploy, with_older_keys
from swarmlet.model.compose.environment import EnvironmentReader
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.exclusive import check_exclusive
from swarmlet.model.compose.extension import UNSAID_EXTENSION, Extension, read_extension
from swarmlet.model.compose.fields import Fields, each
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.health import read_health_check
from swarmlet.model.compose.job import ONCE, job_of
from swarmlet.model.compose.limits import read_pull_policy
from swarmlet.model.compose.marks import Mapping, Node, Sequence, is_null, shown
from swarmlet.model.compose.mounts import MountReader, WrittenMount
from swarmlet.model.compose.networks import check_named
from swarmlet.model.compose.options import read_options
from swarmlet.model.compose.placement import UNSAID_PLACEMENT, beside, read_platform, resolve
from swarmlet.model.compose.ports import PortReader, WrittenPort
from swarmlet.model.compose.scalars import any_string, boolean, duration, pairs, string, strings, text
from swarmlet.model.compose.stored_files import Stored, StoredFiles, WrittenFile, distinct
from swarmlet.model.container import FileMount, PullPolicy
from swarmlet.model.job import JobPolicy
from swarmlet.model.placement import Placement
from swarmlet.model.spec import DependencyCondition, RestartCondition, RestartPolicy, ServiceSpec, TaskTemplate

PATTERN = "services.*"
RESERVED_LABELS = "io.swarmlet."
ATTEMPTS_MAX = 1_000_000
IMAGE_LENGTH_MAX = 512
_RESTARTS = {
    "no": RestartPolicy(condition=RestartCondition.NEVER),
    "always": RestartPolicy(condition=RestartCondition.ALWAYS),
    "unless-stopped": RestartPolicy(condition=RestartCondition.ALWAYS),
    "on-failure": RestartPolicy(condition=RestartCondition.ON_FAILURE),
}


@dataclass(frozen=True, slots=True)
class WrittenService:
    """A service as declared, with the nodes that other services have to be compared with."""

    name: str
    template: TaskTemplate
    deploy: Deploy
    ports: tuple[WrittenPort, ...]
    dependencies: tuple[Dependency, ...]
    profiles: frozenset[str] = frozenset()
    extension: Extension = UNSAID_EXTENSION
    placement: Placement = UNSAID_PLACEMENT
    job: JobPolicy | None = None
    unbuilt: Node | None = None
    """Its `build`, where no image is named: one of the name that Compose would give it has to be there."""
    restart: Node | None = None
    """Where it is written when its tasks are restarted."""

    def spec(self, depends_on: dict[str, DependencyCondition], is_awaited: bool = False) -> ServiceSpec:
        """`is_awaited`: others wait for its end, which comes at the first one unless it is written otherwise."""
        template = self.template
        if is_awaited and self.restart is None:
            template = template.model_copy(update={"restart": RestartPolicy(condition=RestartCondition.NEVER)})
        rollout = self.extension.rollout.policy(self.deploy.update, self.deploy.rollback)
        kept = [each for each in self.dependencies if each.service in depends_on]
        return ServiceSpec(
            name=self.name,
            template=template,
            mode=self.deploy.mode,
            replicas=first_replicas(self.deploy, self.extension.autoscale),
            depends_on=depends_on,
            optional_dependencies=tuple(sorted(each.service for each in kept if not each.required)),
            restarts_with=tuple(sorted(each.service for each in kept if each.restart)),
            autoscale=self.extension.autoscale,
            ingress=self.extension.ingress,
            rollout=rollout.stop_first() if self.template.exclusive else rollout,
            max_unavailable=self.extension.max_unavailable,
            placement=self.placement,
            priority=self.extension.priority,
            job=self.job,
        )


@dataclass(frozen=True, slots=True)
class Declared:
    """What services may refer to by name, beside volumes."""

    stored: StoredFiles
    files: MappingOf[str, MappingOf[str, Stored | None]]
    """Configs and secrets, by `configs` or `secrets` and then by name."""
    networks: frozenset[str] | None
    """None where the declarations could not be read and nothing can be said."""


@dataclass(frozen=True, slots=True)
class ServiceReader:
    stack: str
    environment: EnvironmentReader
    mounts: MountReader
    ports: PortReader
    declared: Declared
    findings: Findings

    def read(self, name: str, node: Node) -> WrittenService:
        """What is wrong becomes a finding; raises `ComposeError` where the service is no mapping or has no image."""
        findings = self.findings
        fields = Fields(node, PATTERN, findings)
        deploy = fields.read("deploy", lambda value: read_deploy(value, findings), Deploy())
        deploy = with_older_keys(fields, deploy, findings)
        ports = fields.read("ports", self.ports.read, ())
        dependencies = fields.read("depends_on", lambda value: read_dependencies(value, findings), ())
        profiles = fields.read("profiles", lambda value: frozenset(each(value, _profile, findings)), frozenset())
        self._check_without_effect(fields)
        build = fields.value("build") if not fields.has("image") else None
        image = f"{self.stack}-{name}" if build else fields.require("image", _image, "registry.example/name:tag")
        extension = fields.read("x-swarmlet", lambda value: read_extension(value, findings), UNSAID_EXTENSION)
        if extension.autoscale is not None and extension.autoscale_node is not None:
            check_autoscale(extension.autoscale_node, extension.autoscale, deploy, extension.exclusive, findings)
        restart = deploy.restart or fields.read("restart", _restart, None)
        job = job_of(extension.job, deploy, restart, findings)
        restart = (restart or RestartPolicy()) if job is None else self._restart_of_job(fields)
        template = self._template(image, fields, deploy, ports, extension, restart)
        if extension.exclusive and extension.exclusive_node is not None:
            with findings.collecting():
                check_exclusive(extension.exclusive_node, template, deploy, extension.rollout, job)
        placement = self._placement(name, fields, deploy, extension)
        if job is not None:
            self._check_job(fields, deploy, extension)
        written = fields.value("deploy") if deploy.restart else fields.value("restart")
        return WrittenService(
            name, template, deploy, ports, dependencies, profiles, extension, placement, job, build, written
        )

    def _check_job(self, fields: Fields, deploy: Deploy, extension: Extension) -> None:
        if extension.autoscale_node is not None:
            message = "a job has no replicas to scale, remove this"
            self.findings.refuse(refused(extension.autoscale_node, message))
        extension_node = fields.value("x-swarmlet")
        if extension.pod and extension_node is not None:
            self.findings.refuse(refused(extension_node, "a job's tasks stand alone (yet), remove 'pod'"))
        if deploy.replicas == 0:
            node = fields.value("scale") or fields.value("deploy")
            assert node is not None, "where else would the number come from"
            self.findings.refuse(refused(node, "a job without completions does nothing, write replicas: 1 or more"))

    def _restart_of_job(self, fields: Fields) -> RestartPolicy:
        node = fields.value("restart")
        if node is not None and text(node) in ("always", "unless-stopped"):
            message = "has no effect on a job, which is over when it succeeds: write on-failure, or remove this"
            self.findings.warn(node.place, node.path, message)
        return ONCE

    def _placement(self, name: str, fields: Fields, deploy: Deploy, extension: Extension) -> Placement:
        platform = fields.read("platform", read_platform, "")
        placement = resolve(self.stack, deploy.placement, platform, extension.placement, extension.tolerations)
        node = fields.value("x-swarmlet")
        if node is not None and any(wish.service == f"{self.stack}.{name}" for wish in beside(placement)):
            message = "a service is beside itself wherever it is: remove this, or write 'strategy: binpack'"
            self.findings.refuse(refused(node, message))
        return placement

    def _check_without_effect(self, fields: Fields) -> None:
        """Values that are wrong are wrong, whether or not the key has an effect."""
        fields.read("container_name", string, "")
        fields.read("runtime", string, "")
        fields.read("attach", boolean(self.findings), True)
        fields.read("expose", lambda node: each(node, text, self.findings), ())
        fields.read("links", lambda node: each(node, string, self.findings), ())
        networks = self.declared.networks
        if networks is not None:
            fields.read("networks", lambda node: check_named(node, networks, self.findings), None)

    def _files(self, fields: Fields, mounts: tuple[WrittenMount, ...]) -> tuple[FileMount, ...]:
        stored = self.declared.stored
        written = tuple(
            file
            for kind in ("configs", "secrets")
            for file in fields.read(kind, functools.partial(self._of_kind, stored, kind), ())
        )
        return distinct(written, {item.mount.target: item.node.place.line for item in mounts}, self.findings)

    def _of_kind(self, stored: StoredFiles, kind: str, node: Node) -> tuple[WrittenFile, ...]:
        return stored.mounts(node, self.declared.files.get(kind, {}), kind)

    def _template(
        self,
        image: str,
        fields: Fields,
        deploy: Deploy,
        ports: tuple[WrittenPort, ...],
        extension: Extension,
        restart: RestartPolicy,
    ) -> TaskTemplate:
        findings = self.findings
        health_check = None
        with findings.collecting():
            health_check = read_health_check(fields.value("healthcheck"), extension, findings)
        mounts = fields.read("volumes", self.mounts.volumes, ()) + fields.read("tmpfs", self.mounts.tmpfs, ())
        return TaskTemplate(
            image=image,
            entrypoint=fields.read("entrypoint", _command, None),
            command=fields.read("command", _command, None),
            environment={
                **fields.read("env_file", self.environment.of_files, {}),
                **fields.read("environment", self.environment.of_pairs, {}),
            },
            ports=tuple(written.port for written in ports),
            mounts=self.mounts.distinct(mounts),
            health_check=health_check,
            readiness=extension.readiness,
            pod=extension.pod,
            exclusive=extension.exclusive,
            labels={
                **fields.read("label_file", self._labels_of_files, {}),
                **fields.read("labels", _labels, {}),
            },
            restart=restart,
            stop_grace_period_s=fields.read("stop_grace_period", duration, 10.0),
            user=fields.read("user", string, ""),
            working_dir=fields.read("working_dir", _working_dir, ""),
            read_only=fields.read("read_only", boolean(findings), False),
            cap_add=fields.read("cap_add", self._capabilities(), ()),
            cap_drop=fields.read("cap_drop", self._capabilities(), ()),
            limits=deploy.limits,
            reservations=deploy.reservations,
            pull_policy=fields.read("pull_policy", read_pull_policy(findings), PullPolicy.MISSING),
            options=read_options(fields, findings),
            files=self._files(fields, mounts),
            scraped_ports=scraped_ports(extension.autoscale),
        )

    def _labels_of_files(self, node: Node) -> dict[str, str]:
        labels = self.environment.of_label_files(node)
        if any(name.startswith(RESERVED_LABELS) for name in labels):
            raise refused(node, f"labels of {RESERVED_LABELS}* are swarmlet's own, write other names there")
        return labels

    def _capabilities(self) -> Callable[[Node], tuple[str, ...]]:
        return lambda node: read_capabilities(node, self.findings)


def _profile(node: Node) -> str:
    found = string(node)
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", found):
        raise refused(node, f"{shown(found)} is no name for a profile, write letters, digits and _ . -")
    return found


def _image(node: Node) -> str:
    image = string(node)
    if len(image) > IMAGE_LENGTH_MAX or any(mark.isspace() or not mark.isprintable() for mark in image):
        raise refused(node, f"{shown(image)} is no image name, write one like docker.io/library/nginx:1.27")
    return image


def _command(node: Node) -> tuple[str, ...] | None:
    """None for an explicit null, which means the image's own."""
    if is_null(node):
        return None
    if isinstance(node, Sequence):
        return strings(node)
    if isinstance(node, Mapping):
        raise refused(node, f"must be a string or a list, not {node.kind}, write [program, argument, …]")
    written = any_string(node)
    try:
        return tuple(shlex.split(written))
    except ValueError as error:
        raise refused(node, f"{shown(written)} has an open quote or a last backslash, write it as a list") from error


def _labels(node: Node) -> dict[str, str]:
    labels: dict[str, str] = {}
    for pair in pairs(node):
        if pair.name.startswith(RESERVED_LABELS):
            raise refused(pair.node, f"labels of {RESERVED_LABELS}* are swarmlet's own, write another name")
        labels[pair.name] = pair.value or ""
    return labels


def _restart(node: Node) -> RestartPolicy:
    written = text(node)
    condition, colon, attempts = written.partition(":")
    if condition not in _RESTARTS or (colon and condition != "on-failure"):
        choices = "always, unless-stopped, on-failure, on-failure:5 or no"
        raise refused(node, f"cannot be {shown(written)}, write {choices}")
    if not colon:
        return _RESTARTS[condition]
    if not (attempts.isascii() and attempts.isdigit() and len(attempts) <= 7 and 1 <= int(attempts) <= ATTEMPTS_MAX):
        raise refused(node, f"{shown(attempts)} is no number of restarts, write on-failure:1 to {ATTEMPTS_MAX}")
    return RestartPolicy(condition=RestartCondition.ON_FAILURE, attempts_max=int(attempts))


def _working_dir(node: Node) -> str:
    path = string(node)
    if not path.startswith("/"):
        raise refused(node, f"{shown(path)} is no absolute path in the container, write one like /app")
    return path
