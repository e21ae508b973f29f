"""Variables filled in, in values only and after YAML: a variable's content can never add keys or lists.

A value with a variable in it is a string as far as YAML goes; readers that want a number or a boolean take it from
the string (`replicas: ${N:-3}`).
"""

from collections.abc import Iterator
from collections.abc import Mapping as MappingOf

from swarmlet.model.compose.budget import Budget
from swarmlet.model.compose.errors import refused
from swarmlet.model.compose.findings import Findings
from swarmlet.model.compose.marks import Entry, Mapping, Node, Place, Scalar, Sequence, shown
from swarmlet.model.compose.template import TemplateError, names, parse_template, render

TEXT_LENGTH_MAX = 4 * 1024 * 1024
"""Of all rendered values of one stack together, in characters."""


def text_budget() -> Budget:
    """For all files of one stack."""
    return Budget(TEXT_LENGTH_MAX, "more than {limit} characters from variables, write shorter values")


def interpolate(root: Node, variables: MappingOf[str, str], findings: Findings, texts: Budget) -> Node:
    return _Interpolation(variables, findings, texts).node(root)


def variables_in(root: Node) -> Iterator[str]:
    """The names of all variables that the tree mentions. What cannot be read mentions none."""
    match root:
        case Scalar():
            try:
                yield from names(parse_template(root.text))
            except TemplateError:
                return
        case Sequence():
            for item in root.items:
                yield from variables_in(item)
        case Mapping():
            for entry in root.entries:
                yield from variables_in(entry.value)


def warn_unset(findings: Findings, place: Place, path: str, name: str) -> None:
    remedy = f"set it, or write ${{{name}:-default}}"
    findings.warn(place, path, f"the variable {shown(name)} is not set and taken as empty, {remedy}")


class _Interpolation:
    def __init__(self, variables: MappingOf[str, str], findings: Findings, texts: Budget) -> None:
        self._variables = variables
        self._findings = findings
        self._texts = texts

    def node(self, node: Node) -> Node:
        match node:
            case Scalar():
                return self._scalar(node) if "$" in node.text else node
            case Sequence():
                return Sequence(node.place, node.path, tuple(self.node(item) for item in node.items), node.tag)
            case Mapping():
                entries = (Entry(entry.key, entry.key_place, self.node(entry.value)) for entry in node.entries)
                return Mapping(node.place, node.path, tuple(entries), node.tag)

    def _scalar(self, scalar: Scalar) -> Scalar:
        text = ""
        with self._findings.collecting():
            try:
                text = render(parse_template(scalar.text), self._variables, lambda name: self._warn(scalar, name))
            except TemplateError as error:
                raise refused(scalar, str(error)) from error
            self._texts.pay(len(text), scalar.place, scalar.path)
        return Scalar(scalar.place, scalar.path, text, plain=False, tag=scalar.tag)

    def _warn(self, scalar: Scalar, name: str) -> None:
        warn_unset(self._findings, scalar.place, scalar.path, name)
