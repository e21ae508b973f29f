"""The grammar of interpolation: `$VAR`, `${VAR}`, `${VAR:-default}` and its five sisters, `$$`.

Source: https://docs.docker.com/reference/compose-file/interpolation/. With a colon an empty variable counts as
unset. Defaults, replacements and error texts are templates themselves and only the branch taken is rendered. The
values of variables are not: what comes from outside is never interpolated again.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from swarmlet.errors import SwarmletError
from swarmlet.model.compose.marks import shown

NESTING_MAX = 16
TEXT_LENGTH_MAX = 1024 * 1024
"""Of one rendered value, in characters."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACE = re.compile(r"[{}]")


class TemplateError(SwarmletError):
    """A template that cannot be read or rendered; its message ends in a remedy."""


class Operator(StrEnum):
    DEFAULT_IF_EMPTY = ":-"
    REQUIRED_NOT_EMPTY = ":?"
    REPLACED_IF_NOT_EMPTY = ":+"
    DEFAULT_IF_UNSET = "-"
    REQUIRED = "?"
    REPLACED_IF_SET = "+"
    VALUE = ""


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    operator: Operator = Operator.VALUE
    operand: "Template" = ()


Template = tuple[str | Variable, ...]


def parse_template(text: str) -> Template:
    return tuple(_parts(text, depth=0))


def names(template: Template) -> Iterator[str]:
    """Every variable that rendering may ask for, in nested parts too."""
    for part in template:
        if isinstance(part, Variable):
            yield part.name
            yield from names(part.operand)


def render(template: Template, variables: Mapping[str, str], on_unset: Callable[[str], None]) -> str:
    """`on_unset` hears of each plain `$VAR` that was empty for want of a value."""
    rendered: list[str] = []
    length = 0
    for part in template:
        piece = part if isinstance(part, str) else _value(part, variables, on_unset)
        length += len(piece)
        if length > TEXT_LENGTH_MAX:
            raise TemplateError(f"longer than {TEXT_LENGTH_MAX:,} characters with its variables, write a shorter value")
        rendered.append(piece)
    return "".join(rendered)


def _value(variable: Variable, variables: Mapping[str, str], on_unset: Callable[[str], None]) -> str:
    value = variables.get(variable.name)
    colon = variable.operator.startswith(":")
    present = bool(value) if colon else value is not None
    match variable.operator.removeprefix(":"):
        case "":
            if value is None:
                on_unset(variable.name)
            return value or ""
        case "-":
            return (value or "") if present else render(variable.operand, variables, on_unset)
        case "+":
            return render(variable.operand, variables, on_unset) if present else ""
    if present:
        return value or ""
    reason = " ".join(render(variable.operand, variables, on_unset).split()) or "it is required"
    state = "empty" if value is not None else "not set"
    raise TemplateError(f"the variable {variable.name} is {state}: {reason}, set {variable.name} and deploy again")


def _parts(text: str, depth: int) -> Iterator[str | Variable]:
    if depth > NESTING_MAX:
        raise TemplateError(f"defaults nested deeper than {NESTING_MAX} levels, write fewer")
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        if dollar > at:
            yield text[at:dollar]
        after = dollar + 1
        if text.startswith("$", after):
            yield "$"
            at = after + 1
        elif text.startswith("{", after):
            end = _closing_brace(text, after)
            yield _braced(text[after + 1 : end], depth)
            at = end + 1
        elif name := _NAME.match(text, after):
            yield Variable(name.group())
            at = name.end()
        else:
            raise TemplateError(f"{shown(text[dollar : dollar + 12])} names no variable, write $$ for a dollar sign")
    if at < len(text):
        yield text[at:]


def _closing_brace(text: str, opening: int) -> int:
    nesting = 0
    for brace in _BRACE.finditer(text, opening):
        nesting += 1 if brace.group() == "{" else -1
        if nesting == 0:
            return brace.start()
    raise TemplateError(f"{shown(text[opening - 1 :])} has no closing brace, write ${{NAME}} (or $$ for a dollar sign)")


def _braced(content: str, depth: int) -> Variable:
    name = _NAME.match(content)
    rest = content[name.end() :] if name else content
    operator = next(operator for operator in Operator if rest.startswith(operator))
    if name is None or (rest and operator is Operator.VALUE):
        remedy = "write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+replacement}"
        raise TemplateError(f"{shown('${' + content + '}')} is no variable, {remedy}")
    return Variable(name.group(), operator, tuple(_parts(rest[len(operator) :], depth + 1)))
