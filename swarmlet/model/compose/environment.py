"""A service's environment: its `env_file`s in order, then `environment` over them."""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass

from swarmlet.model.compose.env_file import parse_env_file
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.interpolation import warn_unset
from swarmlet.model.compose.marks import Mapping, Node, Sequence
from swarmlet.model.compose.scalars import boolean, pairs, string

_PATTERN = "services.*.env_file[]"


@dataclass(frozen=True, slots=True)
class EnvFile:
    path: str
    """As written, variables filled in."""
    required: bool
    node: Node


@dataclass(frozen=True, slots=True)
class EnvironmentReader:
    variables: MappingOf[str, str]
    files: MappingOf[str, str]
    """Contents of env files by their path as written."""
    findings: Findings

    def of_files(self, node: Node) -> dict[str, str]:
        values: dict[str, str] = {}
        for file in env_files(node, self.findings):
            with self.findings.collecting():
                values.update(self._file(file))
        return values

    def of_pairs(self, node: Node) -> dict[str, str]:
        values: dict[str, str] = {}
        for pair in pairs(node):
            value = self.variables.get(pair.name) if pair.value is None else pair.value
            if value is not None:
                values[pair.name] = value
        return values

    def _file(self, file: EnvFile) -> dict[str, str]:
        content = self.files.get(file.path)
        if content is None:
            if file.required:
                message = (
                    f"the file {file.path} is missing, create it beside the Compose file or write 'required: false'"
                )
                raise refused(file.node, message)
            return {}
        return parse_env_file(
            content, file.path, self.variables, lambda place, name: warn_unset(self.findings, place, "", name)
        )


def env_files(node: Node, findings: Findings) -> tuple[EnvFile, ...]:
    found: list[EnvFile] = []
    for item in node.items if isinstance(node, Sequence) else (node,):
        with findings.collecting():
            found.append(_long(item, findings) if isinstance(item, Mapping) else EnvFile(string(item), True, item))
    return tuple(found)


def _long(node: Node, findings: Findings) -> EnvFile:
    fields = Fields(node, _PATTERN, findings)
    path = fields.require("path", string, "web.env")
    return EnvFile(path, fields.read("required", boolean(findings), True), node)
