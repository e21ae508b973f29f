"""Files of variables (`env_file`, `.env`), by Compose's syntax.

Source: https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax.
`NAME=value` or `NAME: value`, with `export` allowed in front; `#` begins a comment at the start of a line or after a
space. Single quotes keep their content as it is (but `\\'` is a quote), double quotes know `\\n \\r \\t \\" \\\\ \\$`;
both may span lines. Variables are filled in everywhere but in single quotes, from the deployer's variables first, then
from the lines above. A name alone takes the deployer's variable and is left out where there is none.
"""

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from swarmlet.model.compose.budget import Budget
from swarmlet.model.compose.errors import ComposeError, refusal
from swarmlet.model.compose.marks import Place, shown
from swarmlet.model.compose.source import check_size
from swarmlet.model.compose.template import Template, TemplateError, names, parse_template, render

OnUnset = Callable[[Place, str], None]
TEXT_LENGTH_MAX = 4 * 1024 * 1024
"""Of all values of one file together, in characters, variables filled in."""

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*([=:]?)")
_QUOTED = {"'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL), '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)}
_LINE = re.compile(r"[^\n]*")
_COMMENT = re.compile(r"[ \t]#.*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


@dataclass(frozen=True, slots=True)
class Assignment:
    name: str
    place: Place
    value: Template | None
    """None: the name stands alone."""


def parse_env_file(
    text: str, filename: str, variables: Mapping[str, str], on_unset: OnUnset = lambda place, name: None
) -> dict[str, str]:
    """The file's variables. Raises `ComposeError` with the place in this file."""
    values: dict[str, str] = {}
    known = ChainMap(dict(variables), values)
    texts = Budget(TEXT_LENGTH_MAX, "more than {limit} characters with its variables, write shorter values")
    for assignment in _assignments(text, filename):
        value = _value(assignment, known, variables, on_unset)
        if value is None:
            continue
        texts.pay(len(value), assignment.place, assignment.name)
        values[assignment.name] = value
    return values


def variables_of_env_file(text: str) -> frozenset[str]:
    """The deployer's variables that the file may ask for. What cannot be read asks for none."""
    found: set[str] = set()
    try:
        for assignment in _assignments(text, ""):
            found.update((assignment.name,) if assignment.value is None else names(assignment.value))
    except ComposeError:
        return frozenset(found)
    return frozenset(found)


def _value(
    assignment: Assignment, known: Mapping[str, str], variables: Mapping[str, str], on_unset: OnUnset
) -> str | None:
    if assignment.value is None:
        return variables.get(assignment.name)
    try:
        return render(assignment.value, known, lambda name: on_unset(assignment.place, name))
    except TemplateError as error:
        raise refusal(assignment.place, assignment.name, str(error)) from error


def _assignments(text: str, filename: str) -> Iterator[Assignment]:
    check_size(text, filename)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    at, line = 0, 1
    while at < len(text):
        blank = _BLANK.match(text, at)
        if blank:
            end = blank.end()
        else:
            assignment, end = _assignment(text, at, Place(filename, line, 1))
            yield assignment
        line += text.count("\n", at, end)
        at = end


def _assignment(text: str, at: int, place: Place) -> tuple[Assignment, int]:
    """The assignment in the line that begins at `at`, and where the next line begins."""
    head = _NAME.match(text, at)
    if head is None:
        raise refusal(place, "", f"{shown(_line(text, at).strip())} is no variable, write NAME=value")
    name, delimiter = head.groups()
    if not delimiter:
        rest = _BLANK.match(text, head.end())
        if rest is None:
            raise refusal(place, "", f"{shown(_line(text, at).strip())} is no variable, write NAME=value")
        return Assignment(name, place, None), rest.end()
    rest_of_line = _line(text, head.end())
    start = head.end() + len(rest_of_line) - len(rest_of_line.lstrip(" \t"))
    quote = text[start : start + 1]
    if quote in _QUOTED:
        value, end = _quoted(text, start, name, place)
    else:
        value = _COMMENT.sub("", rest_of_line).strip()
        end = head.end() + len(rest_of_line) + 1
    return Assignment(name, place, _template(value, name, place) if quote != "'" else (value,)), end


def _quoted(text: str, start: int, name: str, place: Place) -> tuple[str, int]:
    quote = text[start]
    matched = _QUOTED[quote].match(text, start)
    if matched is None:
        raise refusal(place, name, f"the quote {quote} is never closed, write {quote} at the end of the value")
    rest = _BLANK.match(text, matched.end())
    if rest is None:
        extra = _line(text, matched.end()).strip()
        raise refusal(
            place, name, f"{shown(extra)} stands after the closing quote, remove it or quote all of the value"
        )
    content = matched.group(1)
    if quote == "'":
        return content.replace("\\'", "'"), rest.end()
    return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape.group(1), escape.group()), content), rest.end()


def _template(value: str, name: str, place: Place) -> Template:
    try:
        return parse_template(value)
    except TemplateError as error:
        raise refusal(place, name, str(error)) from error


def _line(text: str, at: int) -> str:
    matched = _LINE.match(text, at)
    return matched.group() if matched else ""
