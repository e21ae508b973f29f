"""From a TOML file to a model, with errors that say where and what: one line, the first thing that is wrong.

Works for any pydantic model whose sections are models too. An unknown key comes before anything else, since a
misspelt key is the usual reason why another is missing.
"""

import difflib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from swarmlet.config.errors import ConfigError
from swarmlet.config.overrides import ON_COMMAND_LINE, key_parts, overridden
from swarmlet.config.values import toml_text

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ModelT = TypeVar("ModelT", bound=BaseModel)
SIZE_BYTES_MAX = 1024 * 1024
"""No configuration is longer; a wrong file (a disk image, a log) should be refused before it is read."""

MESSAGES = {
    "string_type": 'must be text in "quotes"',
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": 'must be a list, as in ["one", "two"]',
}


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration file's name and text; relative paths in it start where it is."""

    file: Path
    text: str
    settings: tuple[str, ...] = ()
    """`KEY=VALUE` from the command line, which count more than the file."""

    @classmethod
    def read(cls, file: Path, settings: Sequence[str] = ()) -> "Source":
        """Raises `ConfigError`."""
        try:
            with file.open("rb") as opened:
                content = opened.read(SIZE_BYTES_MAX + 1)
        except OSError as error:
            raise ConfigError(file, "", "", f"can't be read: {error.strerror or error}") from error
        if len(content) > SIZE_BYTES_MAX:
            raise ConfigError(file, "", "", f"is longer than {SIZE_BYTES_MAX} bytes: this is no configuration")
        try:
            return cls(file, content.decode(), tuple(settings))
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ConfigError(file, "", "", "is not UTF-8 text", line) from error

    def error(self, key: str, value: str, message: str) -> ConfigError:
        """An error about a dotted key, with its place; an item of a list is `key[0]`."""
        plain_key = re.sub(r"\[\d+\]", "", key)
        wanted = key_parts(plain_key)
        for setting in self.settings:
            parts = key_parts(setting.partition("=")[0])
            if parts == wanted[: len(parts)]:
                return ConfigError(ON_COMMAND_LINE, key, value, message)
        return ConfigError(self.file, key, value, message, self.line_of(plain_key))

    def line_of(self, key: str) -> int | None:
        """The line on which a dotted key is set, where that is easily found."""
        wanted, table = key_parts(key), list[str]()
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
                table = key_parts(header[1])
                if table == wanted:
                    return number
            elif setting := re.match(r"\s*([\w.\"' -]+?)\s*=", line):
                path = table + key_parts(setting[1])
                if path == wanted or (len(path) < len(wanted) and wanted[: len(path)] == path):
                    return number
        return None


def read_model(model: type[ModelT], source: Source) -> ModelT:
    """Raises `ConfigError`."""
    try:
        document = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(source, str(error)) from error
    document = overridden(document, source.settings)
    try:
        return model.model_validate(document, context={"directory": source.file.absolute().parent})
    except ValidationError as error:
        details = error.errors(include_url=False)
        first = next((each for each in details if each["type"] == "extra_forbidden"), details[0])
        raise _config_error(model, source, first) from error


def _syntax_error(source: Source, problem: str) -> ConfigError:
    """tomllib says 'Invalid value (at line 3, column 8)', or '(at end of document)'."""
    found = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", problem, re.DOTALL)
    if found is None:
        return ConfigError(source.file, "", "", f"is not valid TOML: {problem}", source.text.count("\n") + 1)
    return ConfigError(source.file, "", "", f"column {found[3]} is not valid TOML: {found[1]}", int(found[2]))


def _config_error(model: type[BaseModel], source: Source, details: "ErrorDetails") -> ConfigError:
    location = details["loc"]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")
    field = _field(model, location)
    if details["type"] == "missing":
        return ConfigError(source.file, key, "", f"is missing: {_purpose(key, field)}")
    return source.error(key, toml_text(details["input"]), _what_would_be_right(model, details, field))


def _what_would_be_right(model: type[BaseModel], details: "ErrorDetails", field: FieldInfo | None) -> str:
    kind = details["type"]
    if kind == "extra_forbidden":
        return _nearest(model, [str(part) for part in details["loc"]])
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind in ("model_type", "dict_type"):
        return f"must be a table: write [{details['loc'][-1]}] with its keys below"
    return MESSAGES.get(kind) or details["msg"].replace("Input should be", "must be")


def _nearest(model: type[BaseModel], location: Sequence[str]) -> str:
    """What an unknown key may have been meant to be."""
    *sections, name = location
    here = _section(model, sections)
    known = list(here.model_fields) if here else []
    if close := difflib.get_close_matches(name, known, n=1):
        return f"is an unknown key; did you mean {close[0]}?"
    for section, field in model.model_fields.items():
        inner = _model_of(field)
        if inner is not None and name in inner.model_fields:
            return f"is an unknown key here; {name} belongs in [{section}]"
    if sections and name in model.model_fields:
        return f"is an unknown key here; {name} belongs at the top, before the first [section]"
    return f"is an unknown key; known here: {', '.join(known)}"


def _purpose(key: str, field: FieldInfo | None) -> str:
    if field is None:
        return "it has to be given"
    example = f", as in {key} = {toml_text(field.examples[0])}" if field.examples else ""
    return f"{(field.description or '').split('. ')[0].rstrip('.')}{example}"


def _field(model: type[BaseModel], location: Sequence[int | str]) -> FieldInfo | None:
    here = _section(model, [str(part) for part in location[:-1]])
    return here.model_fields.get(str(location[-1])) if here and location else None


def _section(model: type[BaseModel], sections: Sequence[str]) -> type[BaseModel] | None:
    here: type[BaseModel] | None = model
    for section in sections:
        field = here.model_fields.get(section) if here else None
        here = _model_of(field) if field else None
    return here


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
