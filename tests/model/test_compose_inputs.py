"""What a client has to send along with a file."""

import pytest
from compose_builders import a_file

from swarmlet.model.compose import NeededInputs, needed_inputs


def test_variables_in_values_and_names_without_value() -> None:
    needed = needed_inputs(
        a_file(
            """\
            user: ${UID:-${DEFAULT_UID:-0}}
            labels: {note: "$$NOT $YES"}
            environment:
              SET: x
              OPEN:
            """
        )
    )

    assert needed.variables == {"UID", "DEFAULT_UID", "YES", "OPEN"}


def test_names_without_value_in_a_list() -> None:
    assert needed_inputs(a_file("environment: [A, B=1]")).variables == {"A"}


def test_env_files_each_once_in_file_order() -> None:
    text = "services:\n  a: {env_file: [b.env, {path: a.env}]}\n  c: {env_file: b.env}\n"

    assert needed_inputs(text).files == ("b.env", "a.env")


def test_env_files_with_variables_in_their_path() -> None:
    text = a_file("env_file: ${STAGE:-test}.env")

    assert needed_inputs(text) == NeededInputs(frozenset({"STAGE"}), ("test.env",))
    assert needed_inputs(text, {"STAGE": "live"}).files == ("live.env",)


def test_variables_that_env_files_ask_for() -> None:
    text = a_file("env_file: a.env")

    assert needed_inputs(text, files={"a.env": "A=$B\nC\nD='$E'\nF=1"}).variables == {"B", "C"}


@pytest.mark.parametrize("text", ["", "[", "a: *b", "- x", "services: []", "services: {web: []}", "a: \x01", "a: ${"])
def test_a_broken_file_needs_nothing(text: str) -> None:
    assert needed_inputs(text) == NeededInputs()


def test_what_is_broken_does_not_hide_the_rest() -> None:
    text = "services:\n  a: {image: '${', environment: x, env_file: [[], a.env], user: $B}\n"

    assert needed_inputs(text) == NeededInputs(frozenset({"B"}), ("a.env",))
