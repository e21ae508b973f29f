"""Small builders for tests of the Compose parser."""

from collections.abc import Mapping
from textwrap import dedent, indent

import pytest

from swarmlet.model.compose import ComposeError, ParsedStack, parse_stack
from swarmlet.model.spec import ServiceSpec, TaskTemplate

FILENAME = "compose.yaml"


def parse(text: str, variables: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None) -> ParsedStack:
    return parse_stack("shop", dedent(text), FILENAME, variables or {}, files or {})


def a_service(
    keys: str = "", variables: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None, rest: str = ""
) -> ServiceSpec:
    """The service `web` of a file in which it has an image and these keys. Must parse without a warning."""
    parsed = parse(a_file(keys, rest), variables, files)
    assert parsed.warnings == ()
    return parsed.spec.services["web"]


def a_template(
    keys: str = "", variables: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None, rest: str = ""
) -> TaskTemplate:
    return a_service(keys, variables, files, rest).template


def a_file(keys: str = "", rest: str = "") -> str:
    """Keys of `web` begin in line 4, column 5."""
    return "services:\n  web:\n    image: nginx\n" + indent(dedent(keys), "    ") + "\n" + dedent(rest)


def the_error(
    text: str, variables: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> ComposeError:
    with pytest.raises(ComposeError) as caught:
        parse(text, variables, files)
    return caught.value


def the_warnings(text: str, variables: Mapping[str, str] | None = None) -> list[str]:
    return [str(warning) for warning in parse(text, variables).warnings]
