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
NAMES = {"services": "web", "volumes": "data", "depends_on": "db"}
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "services.*.env_file[]": {"path": "x"},
    "services.*.ports[]": {"target": 1, "published": 1},
    "services.*.volumes[]": {"type": "tmpfs", "target": "/x"},
    "services.*.depends_on.*": {"condition": "service_started"},
    "services.*.healthcheck": {"test": "x"},
    "services.*.x-swarmlet.health.http": {"port": 1},
    "services.*.x-swarmlet.health.tcp": {"port": 1},
}
"""What must stand beside a key for its mapping to be right, by the mapping's pattern."""


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


def a_file_with(row: KeyRow, value: Any) -> tuple[str, str]:
    """A file in which nothing but this key is out of order, and the key's path there. JSON is YAML."""
    root: dict[str, Any] = {"services": {"web": {"image": "x"}, "db": {"image": "x"}}}
    place, path = root, ""
    *parents, key = row.path.replace("[]", ".[]").split(".")
    for at, part in enumerate(parents):
        name = {"*": NAMES.get(parents[at - 1], ""), "[]": "0"}.get(part, part)
        path = f"{path}[0]" if part == "[]" else f"{path}.{name}".lstrip(".")
        pattern = ".".join(parents[: at + 1]).replace(".[]", "[]")
        place = place.setdefault(name, dict(BESIDE.get(pattern, {})))
    place[key] = value
    return json.dumps(lists(root)), f"{path}.{key}".lstrip(".")


def lists(node: Any) -> Any:
    """Mappings whose only key is 0 stand for lists of one."""
    if not isinstance(node, dict):
        return node
    return [lists(node["0"])] if list(node) == ["0"] else {key: lists(value) for key, value in node.items()}


@pytest.mark.parametrize("row", [row for row in KEYS if row.support is Support.SUPPORTED], ids=lambda row: row.path)
def test_every_supported_key_is_read(row: KeyRow) -> None:
    # A list in a list in a list is right nowhere, so whoever reads the key refuses it.
    text, path = a_file_with(row, [[[]]])

    assert the_error(text, files={"x": ""}).key_path.startswith(path)


@pytest.mark.parametrize("row", [row for row in KEYS if row.support is Support.REFUSED], ids=lambda row: row.path)
def test_every_refused_key_says_what_to_write(row: KeyRow) -> None:
    text, path = a_file_with(row, "x")

    error = the_error(text, files={"x": ""})

    assert error.key_path == path
    assert error.message == f"not supported by swarmlet (yet), {row.doc}"
    assert row.doc.split()[0] in ("write", "remove", "mount", "build", "run")


def test_warned_keys_are_accepted() -> None:
    ports = "ports: [{target: 1, published: 1, name: x, app_protocol: x}]"
    volumes = "volumes: [{type: tmpfs, target: /x, consistency: cached}]"

    parsed = parse(f"version: '2'\nservices:\n  web:\n    image: x\n    {ports}\n    {volumes}\n")

    assert len(parsed.warnings) == sum(row.support is Support.WARNED for row in KEYS)


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == document(), "run: python -m swarmlet.model.compose.document > docs/compose.md"
