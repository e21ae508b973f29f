"""A commented file with every key, made of the model: it can't say other than what the agent does.

Prose lines begin with `# `, keys that may stay away with `#` right before the key. As it stands the file is a
first node's, and loads.
"""

import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from swarmlet.config.settings import DERIVED, Config
from swarmlet.config.values import toml_text

SET_IN_EXAMPLE = {"name": "node1", "address": "10.77.0.1:8421", "key_file": "cluster.key", "bootstrap": True}
"""What the file sets; everything else is shown with its default."""
WIDTH = 100
HEADER = """\
# Swarmlet agent: every key there is. A key behind a `#` is not set: it shows its default or, where
# that is derived, an example. Relative paths start at this file.
"""


def example() -> str:
    """The text of a file with every key and what it is for."""
    return "\n".join([HEADER, *_keys(Config, top=True), *_sections()])


def _sections() -> Iterator[str]:
    for name, field in Config.model_fields.items():
        section = _section_of(field)
        if section is not None:
            yield f"[{name}]"
            yield from _prose(section.__doc__ or "")
            yield ""
            yield from _keys(section, top=False)


def _keys(model: type[BaseModel], top: bool) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if _section_of(field) is not None:
            continue
        yield from _prose((field.description or "") + _choices(field))
        if top and name in SET_IN_EXAMPLE:
            yield f"{name} = {toml_text(SET_IN_EXAMPLE[name])}"
        else:
            yield f"#{name} = {toml_text(_shown(field))}"
        yield ""


def _shown(field: FieldInfo) -> Any:
    """A default; where there is none, an example that stands for what is derived."""
    default = field.get_default(call_default_factory=True)
    return field.examples[0] if default in (None, DERIVED, (), {}) and field.examples else default


def _choices(field: FieldInfo) -> str:
    if get_origin(field.annotation) is not Literal:
        return ""
    return f" One of {', '.join(toml_text(choice) for choice in get_args(field.annotation))}."


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
