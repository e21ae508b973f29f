"""Single keys set on the command line (`--set KEY=VALUE`), in place of what the file says.

A value is read as TOML where it is TOML (`true`, `3`, `["a", "b"]`), as text where it is not (`127.0.0.1:9000`), so
that a shell's quotes are enough. Paths start at the file, as they do in it.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swarmlet.config.errors import ConfigError

ON_COMMAND_LINE = Path("--set")
"""Stands for the file in an error about a key that was set so."""


def overridden(document: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """The document with each `KEY=VALUE` put in. Raises `ConfigError` for one of another form."""
    for setting in settings:
        key, equals, text = setting.partition("=")
        parts = key_parts(key)
        if not equals or not all(parts):
            raise ConfigError(ON_COMMAND_LINE, setting, "", "must be KEY=VALUE, as in api.listen=127.0.0.1:9000")
        document = _with(document, parts, _value(text))
    return document


def key_parts(key: str) -> list[str]:
    """A dotted key's parts, without spaces and quotes around them."""
    return [part.strip().strip("\"'") for part in key.split(".")]


def _value(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text


def _with(document: dict[str, Any], parts: Sequence[str], value: Any) -> dict[str, Any]:
    first, *rest = parts
    if not rest:
        return {**document, first: value}
    inner = document.get(first, {})
    return {**document, first: _with(inner if isinstance(inner, dict) else {}, rest, value)}
