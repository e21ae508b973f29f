"""Files meant to hurt: whatever comes in, the answer is a stack or one `ComposeError`, and soon."""

import pytest
from compose_builders import a_file, the_error
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.model.compose import ComposeError, Given, Source, needed_inputs, parse_stack
from swarmlet.model.compose.key_table import KEYS

WORDS = st.sampled_from(
    [row.key for row in KEYS]
    + [
        "web",
        "db",
        "<<",
        "x-swarmlet",
        "80:80",
        "1-3:1-3",
        "10s",
        "5m",
        "yes",
        "~",
        "-1",
        "1.5",
        "/a:/b",
        "data:/d",
        "CMD",
    ]
    + ["$A", "${A:-b}", "${", "a.env", "0x1f", "", "service_healthy", "on-failure:2", "tcp", "bind", "\0", "é\n"]
)
TREES = st.recursive(
    WORDS | st.integers() | st.booleans() | st.none() | st.floats(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(WORDS, below, max_size=5),
    max_leaves=12,
)


def as_flow(node: object) -> str:
    """Flow YAML; words are plain scalars where that is safe, so that some are seen as numbers, booleans and nulls."""
    if isinstance(node, dict):
        return "{" + ", ".join(f"{as_flow(key)}: {as_flow(value)}" for key, value in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(map(as_flow, node)) + "]"
    text = str(node)
    return text if text.isalnum() else '"' + "".join(f"\\u{ord(mark):04x}" for mark in text) + '"'


@given(st.dictionaries(WORDS, TREES, max_size=4))
def test_any_service_is_read_or_refused_with_its_place(service: dict[str, object]) -> None:
    text = f"services:\n  db: {{image: x}}\n  web: {as_flow({'image': 'x'} | service)}\nvolumes: {{data: }}\n"

    needed_inputs(text)
    try:
        parse_stack("shop", text, "compose.yaml", {"A": "a"}, {"a.env": "A=1"})
    except ComposeError as error:
        assert error.filename == "compose.yaml"
        assert error.line >= 1
        assert error.column >= 1
        assert "\n" not in str(error)


@given(st.dictionaries(WORDS, TREES, max_size=4), st.dictionaries(WORDS, TREES, max_size=4))
def test_any_two_services_are_merged_or_refused_with_their_place(
    one: dict[str, object], two: dict[str, object]
) -> None:
    first = f"services:\n  db: {{image: x}}\n  web: {as_flow({'image': 'x'} | one)}\n"
    second = f"services:\n  web: {as_flow(two)}\n  db: {{extends: web}}\n"
    given_too = Given(overrides=(Source("b.yaml", second),), folder="/srv")

    needed_inputs(first, {}, {}, given_too.overrides)
    try:
        parse_stack("shop", first, "compose.yaml", {"A": "a"}, {"a.env": "A=1"}, given_too)
    except ComposeError as error:
        assert error.filename in ("compose.yaml", "b.yaml")
        assert error.line >= 1
        assert "\n" not in str(error)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    needed_inputs(text)
    with pytest.raises(ComposeError):
        parse_stack("shop", text, "compose.yaml", {}, {})


def test_thousands_of_faults_are_cut_short() -> None:
    keys = "\n".join(f"servicekey{n}: x" for n in range(20_000))

    assert the_error(a_file(keys)).key_path == "services.web.servicekey0"


def test_faults_are_cut_short_for_inputs_too() -> None:
    text = "services:\n" + "".join(f"  s{n}: {{image: '$1', env_file: a.env, user: $B}}\n" for n in range(1000))

    assert needed_inputs(text).variables == {"B"}


def test_ports_of_many_services_share_one_limit() -> None:
    text = "services:\n" + "".join(f"  s{n}: {{image: x, ports: ['127.0.0.{n}:1-500:1-500']}}\n" for n in range(1, 4))

    error = the_error(text)

    assert (error.line, error.message) == (4, "more than 1,000 published ports in one stack, write smaller ranges")


def test_env_files_of_many_services_share_one_limit() -> None:
    text = "services:\n" + "".join(f"  s{n}: {{image: x, env_file: a.env}}\n" for n in range(10))

    assert "env files give more than" in the_error(text, files={"a.env": "A=" + "x" * 1_000_000}).message


def test_a_very_long_cycle_is_named_in_short() -> None:
    text = "services:\n" + "".join(f"  s{n}: {{image: x, depends_on: [s{(n + 1) % 2000}]}}\n" for n in range(2000))

    error = the_error(text)

    assert error.line == 2
    assert "(s0 → s1 → s2 → s3 → s4 → s5 → s6 → … → s0)" in error.message
