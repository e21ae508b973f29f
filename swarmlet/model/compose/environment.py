"""A service's environment: its `env_file`s in order, then `environment` over them."""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field

from swarmlet.model.compose.budget import Budget
from swarmlet.model.compose.env_file import parse_env_file
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.fields import Fields
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.interpolation import warn_unset
from swarmlet.model.compose.marks import Mapping, Node, Sequence
from swarmlet.model.compose.scalars import boolean, pairs, string

TEXT_LENGTH_MAX = 4 * 1024 * 1024
"""Of what env files give to all services together, in characters: the largest transaction a cluster takes."""
_TOO_MUCH = "env files give more than {limit} characters to this stack's services, write shorter ones"
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
    _read: dict[str, dict[str, str]] = field(default_factory=dict)
    """Each file is read once, however many services name it."""
    _texts: Budget = field(default_factory=lambda: Budget(TEXT_LENGTH_MAX, _TOO_MUCH))

    def of_files(self, node: Node) -> dict[str, str]:
        return self._of(env_files(node, self.findings))

    def of_label_files(self, node: Node) -> dict[str, str]:
        """Files of labels have the same form."""
        found: list[EnvFile] = []
        for item in node.items if isinstance(node, Sequence) else (node,):
            with self.findings.collecting():
                found.append(EnvFile(string(item), True, item))
        return self._of(tuple(found))

    def _of(self, files: tuple["EnvFile", ...]) -> dict[str, str]:
        values: dict[str, str] = {}
        for file in files:
            with self.findings.collecting():
                of_file = self._file(file)
                self._texts.pay(
                    sum(len(name) + len(value) for name, value in of_file.items()), file.node.place, file.node.path
                )
                values.update(of_file)
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
        if file.path not in self._read:
            self._read[file.path] = {}  # lest a faulty one be read and reported again
            self._read[file.path] = parse_env_file(
                content, file.path, self.variables, lambda place, name: warn_unset(self.findings, place, "", name)
            )
        return self._read[file.path]


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
