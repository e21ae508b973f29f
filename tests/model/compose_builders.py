"""Small builders for tests of the Compose parser."""

from collections.abc import Mapping
from textwrap import dedent, indent

import pytest

from swarmlet.model.compose import ComposeError, Given, ParsedStack, Source, parse_stack
from swarmlet.model.compose.stack import NOTHING_GIVEN
from swarmlet.model.spec import ServiceSpec, TaskTemplate

FILENAME = "compose.yaml"


def parse(
    text: str,
    variables: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    given: Given = NOTHING_GIVEN,
) -> ParsedStack:
    texts = {path: dedent(content) for path, content in (files or {}).items()}
    return parse_stack("shop", dedent(text), FILENAME, variables or {}, texts, given)


def merged(first: str, *others: str) -> ServiceSpec:
    """The service `web` of several files, each of which has these keys of it."""
    sources = tuple(Source(f"override{at}.yaml", _with_keys(keys)) for at, keys in enumerate(others, 1))
    return parse(a_file(first), given=Given(overrides=sources)).spec.services["web"]


def _with_keys(keys: str) -> str:
    return "services:\n  web:\n" + indent(dedent(keys), "    ")


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
    text: str,
    variables: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    given: Given = NOTHING_GIVEN,
) -> ComposeError:
    with pytest.raises(ComposeError) as caught:
        parse(text, variables, files, given)
    return caught.value


def the_warnings(text: str, variables: Mapping[str, str] | None = None, given: Given = NOTHING_GIVEN) -> list[str]:
    return [str(warning) for warning in parse(text, variables, given=given).warnings]
