"""The table of keys: complete against the specification's schema, obeyed by the parser, and what the page says."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from compose_builders import parse, the_error

from swarmlet.model.compose.document import document
from swarmlet.model.compose.key_row import KeyRow, Support
from swarmlet.model.compose.key_table import KEYS

SCHEMA: Mapping[str, Any] = json.loads((Path(__file__).parent / "data" / "compose-spec.json").read_text())
PAGE = Path(__file__).parents[2] / "docs" / "compose.md"
BY_PATH = {row.path: row for row in KEYS}


def schema_paths(node: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every key that the schema names, in the table's notation."""
    if "$ref" in node:
        yield from schema_paths(SCHEMA["definitions"][node["$ref"].rpartition("/")[2]], path)
    for choice in node.get("oneOf", ()):
        yield from schema_paths(choice, path)
    if "items" in node:
        yield from schema_paths(node["items"], f"{path}[]")
    for pattern, below in node.get("patternProperties", {}).items():
        if pattern != "^x-":
            yield from schema_paths(below, f"{path}.*")
    for key, below in node.get("properties", {}).items():
        yield f"{path}.{key}".lstrip(".")
        yield from schema_paths(below, f"{path}.{key}".lstrip("."))


def ancestors(path: str) -> Iterator[str]:
    while path:
        yield path.removesuffix("[]").removesuffix(".*")
        path = path.rpartition(".")[0]


def test_no_key_of_the_schema_is_missing() -> None:
    missing = [
        path
        for path in schema_paths(SCHEMA)
        if path not in BY_PATH
        and not any(above in BY_PATH and BY_PATH[above].support is not Support.SUPPORTED for above in ancestors(path))
    ]

    # Deprecated in the schema itself; `external` is read as a boolean and its mapping refused.
    assert missing == ["volumes.*.external.name"]


def test_no_key_is_made_up() -> None:
    known = set(schema_paths(SCHEMA))

    assert [row.path for row in KEYS if row.path not in known and ".x-swarmlet" not in row.path] == []


def test_no_key_has_two_rows() -> None:
    assert len(BY_PATH) == len(KEYS)


def a_file_with(row: KeyRow, value: Any) -> str:
    """A file in which the key has the value, in mappings as the path says. JSON is YAML."""
    names = {"services": "web", "volumes": "data", "depends_on": "db"}
    nested = value
    parts = row.path.split(".")
    for at, part in reversed(list(enumerate(parts))):
        if part == "*":
            nested = {names[parts[at - 1]]: nested}
        elif part.endswith("[]"):
            nested = {part.removesuffix("[]"): [nested]}
        else:
            nested = {part: nested}
    nested.setdefault("services", {}) if isinstance(nested.get("services", {}), dict) else None
    return json.dumps(nested)


@pytest.mark.parametrize("row", [row for row in KEYS if row.support is Support.SUPPORTED], ids=lambda row: row.path)
def test_every_supported_key_is_read(row: KeyRow) -> None:
    # A list in a list in a list is right nowhere, so whoever reads the key refuses it.
    errors = all_errors(a_file_with(row, [[[]]]))

    assert any(pattern_of(error).startswith(row.path) for error in errors)


@pytest.mark.parametrize("row", [row for row in KEYS if row.support is Support.REFUSED], ids=lambda row: row.path)
def test_every_refused_key_says_what_to_write(row: KeyRow) -> None:
    error = the_error(a_file_with(row, "x"))

    assert error.message == f"not supported by swarmlet (yet), {row.doc}"
    assert row.doc.split()[0] in ("write", "remove", "mount", "build", "run")


def test_warned_keys_are_accepted() -> None:
    ports = "ports: [{target: 1, published: 1, name: x, app_protocol: x}]"
    volumes = "volumes: [{type: tmpfs, target: /x, consistency: cached}]"

    parsed = parse(f"version: '2'\nservices:\n  web:\n    image: x\n    {ports}\n    {volumes}\n")

    assert len(parsed.warnings) == sum(row.support is Support.WARNED for row in KEYS)


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == document(), "run: python -m swarmlet.model.compose.document > docs/compose.md"


def all_errors(text: str) -> list[str]:
    raise NotImplementedError


def pattern_of(path: str) -> str:
    raise NotImplementedError
