"""The table of keys: complete against the specification's schema, obeyed by the parser, and what the page says."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
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
NAMES = {
    "services": "web",
    "volumes": "data",
    "depends_on": "db",
    "networks": "net",
    "ulimits": "nofile",
    "configs": "conf",
    "secrets": "key",
}
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "include[]": {"path": "x"},
    "services.*.extends": {"service": "db"},
    "services.*.env_file[]": {"path": "x"},
    "services.*.ports[]": {"target": 1, "published": 1},
    "services.*.volumes[]": {"type": "tmpfs", "target": "/x"},
    "services.*.volumes[].bind": {},
    "services.*.depends_on.*": {"condition": "service_started"},
    "configs.*": {"environment": "SET"},
    "secrets.*": {"environment": "SET"},
    "services.*.configs[]": {"source": "conf"},
    "services.*.secrets[]": {"source": "key"},
    "services.*.devices[]": {"source": "/dev/null"},
    "services.*.ulimits.*": {"soft": 1, "hard": 1},
    "services.*.healthcheck": {"test": "x"},
    "services.*.x-swarmlet.health.http": {"port": 1},
    "services.*.x-swarmlet.health.tcp": {"port": 1},
    "services.*.x-swarmlet.ingress[]": {"port": 1},
    "services.*.x-swarmlet.placement.affinity[]": {"service": "db"},
    "services.*.x-swarmlet.placement.anti_affinity[]": {"service": "db"},
    "services.*.deploy.resources.reservations.devices[]": {"capabilities": ["gpu"]},
    "services.*.deploy.resources.reservations.generic_resources[].discrete_resource_spec": {"kind": "x", "value": 1},
    "services.*.x-swarmlet.readiness": {"tcp": {"port": 1}},
    "services.*.x-swarmlet.readiness.http": {"port": 1},
    "services.*.x-swarmlet.readiness.tcp": {"port": 1},
    "services.*.x-swarmlet.rollout.canary": {"steps": ["10%"]},
    "services.*.x-swarmlet.autoscale": {
        "max": 2,
        "metrics": {"0": {"prometheus": {"port": 1, "name": "x", "target_average": 1}}},
    },
    "services.*.x-swarmlet.autoscale.scale_up.policies[]": {"tasks": 1},
    "services.*.x-swarmlet.autoscale.scale_down.policies[]": {"tasks": 1},
}
"""What must stand beside a key for its mapping to be right, by the mapping's pattern."""
DECLARED: Mapping[str, Any] = {
    "configs": {"conf": {"content": "x"}},
    "secrets": {"key": {"environment": "SET"}},
    "networks": {"net": None},
}
RIGHT: Mapping[str, Any] = {
    **dict.fromkeys(("enable_ipv4", "enable_ipv6", "attachable", "nocopy", "create_host_path", "attach"), True),
    "labels": ["a=b"],
    "networks": ["default"],
    "expose": [80],
    "links": ["db"],
    "preferences": [],
    "endpoint_mode": "vip",
    "delay": "1s",
    "window": "1s",
    "build": ".",
}
"""Values that are right for keys without effect whose values are checked; any other takes a word."""


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


def test_no_key_of_the_schema_is_missing() -> None:
    assert [path for path in schema_paths(SCHEMA) if path not in BY_PATH] == []


def test_the_schema_is_walked_to_its_leaves() -> None:
    paths = set(schema_paths(SCHEMA))

    assert {"services.*.develop.watch[].exec.user", "networks.*.ipam.config[].aux_addresses"} <= paths
    assert len(paths) > 300


def test_no_key_is_made_up() -> None:
    known = set(schema_paths(SCHEMA))

    assert [row.path for row in KEYS if row.path not in known and ".x-swarmlet" not in row.path] == []


def test_no_key_has_two_rows() -> None:
    assert len(BY_PATH) == len(KEYS)


def a_file_with(row: KeyRow, value: Any) -> tuple[str, str]:
    """A file in which nothing but this key is out of order, and the key's path there. JSON is YAML."""
    root: dict[str, Any] = {"services": {"web": {"image": "x"}, "db": {"image": "x"}}}
    if row.path.startswith("services."):
        root |= DECLARED
    place, path = root, ""
    *parents, key = row.path.replace("[]", ".[]").split(".")
    for at, part in enumerate(parents):
        name = {"*": NAMES.get(parents[at - 1], ""), "[]": "0"}.get(part, part)
        path = f"{path}[0]" if part == "[]" else f"{path}.{name}".lstrip(".")
        pattern = ".".join(parents[: at + 1]).replace(".[]", "[]")
        place = place.setdefault(name, deepcopy(BESIDE.get(pattern, {})))
    if key in ("file", "content"):
        place.pop("environment", None)
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
    if ".bind." in row.path:
        text = text.replace('"tmpfs"', '"bind", "source": "/x"')
    if ".readiness.http" in row.path:
        text = text.replace('"tcp": {"port": 1}, ', "")
    if row.path.endswith("policies[].percent"):
        text = text.replace('"tasks": 1, ', "")

    assert the_error(text, {"SET": "x"}, files={"x": "services: {}"}).key_path.startswith(path)


REFUSED = [row for row in KEYS if row.support is Support.REFUSED and not row.part]
WARNED = [row for row in KEYS if row.support is Support.WARNED and not row.part]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.path)
def test_every_refused_key_says_what_to_write(row: KeyRow) -> None:
    text, path = a_file_with(row, "x")
    if ".volume." in row.path:
        text = text.replace('"tmpfs"', '"volume"')

    error = the_error(text, {"SET": "x"}, files={"x": "services: {}"})

    assert error.key_path == path
    assert error.message == f"not supported by swarmlet (yet), {row.doc}"
    assert row.doc.split()[0] in ("write", "remove", "mount", "build", "run")


@pytest.mark.parametrize("row", WARNED, ids=lambda row: row.path)
def test_every_key_without_effect_is_accepted_and_named(row: KeyRow) -> None:
    text, path = a_file_with(row, RIGHT.get(row.key, "x"))
    for kind in ("bind", "volume"):
        if f".{kind}." in row.path:
            text = text.replace('"tmpfs"', f'"{kind}", "source": "/x"' if kind == "bind" else '"volume"')

    warnings = parse(text, {"SET": "x"}, {"x": ""}).warnings

    assert (path, row.doc) in [(warning.key_path, warning.message) for warning in warnings]


PARTS = sorted({(row.parent, row.support) for row in KEYS if row.part and row.support is Support.WARNED})


@pytest.mark.parametrize("parent", [parent for parent, _ in PARTS])
def test_a_misspelt_key_below_one_without_effect_is_found(parent: str) -> None:
    text, path = a_file_with(KeyRow(f"{parent}.no-such-key", Support.WARNED, ""), "x")

    error = the_error(text, {"SET": "x"})

    assert error.key_path == path
    assert error.message.startswith("unknown key, ")


def test_every_key_is_on_the_page() -> None:
    page = PAGE.read_text()

    for row in KEYS:
        if not row.part:
            assert f"| `{row.path}`" in page
        else:
            above = next(
                other.path
                for other in KEYS
                if other.doc == row.doc and not other.part and row.path.startswith(other.path)
            )
            assert f"`{row.path.removeprefix(above)}`" in page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == document(), "run: python -m swarmlet.model.compose.document > docs/compose.md"
