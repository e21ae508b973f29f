"""Variables in values: the table of operators, nesting, what is refused, and properties of the grammar."""

import pytest
from compose_builders import a_file, a_service, a_template, the_error, the_warnings
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.model.compose.template import TemplateError, names, parse_template, render

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(alphabet=st.characters(exclude_characters="${}"), max_size=20)


def filled(text: str, **variables: str) -> str:
    return render(parse_template(text), variables, lambda name: None)


@pytest.mark.parametrize(
    ("template", "when_set", "when_empty", "when_unset"),
    [
        ("$V", "v", "", ""),
        ("${V}", "v", "", ""),
        ("${V:-d}", "v", "d", "d"),
        ("${V-d}", "v", "", "d"),
        ("${V:+r}", "r", "", ""),
        ("${V+r}", "r", "r", ""),
        ("${V:?e}", "v", None, None),
        ("${V?e}", "v", "", None),
    ],
)
def test_the_operators(template: str, when_set: str, when_empty: str | None, when_unset: str | None) -> None:
    for variables, expected in (({"V": "v"}, when_set), ({"V": ""}, when_empty), ({}, when_unset)):
        if expected is None:
            with pytest.raises(TemplateError, match=r"the variable V is (empty|not set): e, set V"):
                filled(template, **variables)
        else:
            assert filled(template, **variables) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("$$V", "$V"),
        ("$$$V", "$v"),
        ("$V.x", "v.x"),
        ("$Vx", ""),
        ("a${V}b$V", "avbv"),
        ("${A:-${B:-${V}}}", "v"),
        ("${A:-x$$y}", "x$y"),
        ('${A:-{"k": {}}}', '{"k": {}}'),
        ("${A:-}", ""),
        ("${A:-a:-b}", "a:-b"),
        ("${V:+is ${V}}", "is v"),
        ("${V-${A?never}}", "v"),
        ("${A:-b}}", "b}"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    assert filled(template, V="v") == expected


@pytest.mark.parametrize(
    "template", ["$", "$1", "a $ b", "${", "${}", "${1}", "${V!}", "${V", "${V:x}", "${-x}", "${ V}"]
)
def test_what_is_no_template_is_refused_with_a_remedy(template: str) -> None:
    with pytest.raises(TemplateError, match="write"):
        parse_template(template)


def test_a_variables_value_is_not_interpolated_again() -> None:
    assert filled("$V", V="$W ${X:?}", W="w") == "$W ${X:?}"


def test_the_branch_that_is_not_taken_asks_for_nothing() -> None:
    assert filled("${V:-${W:?needed}}", V="v") == "v"


def test_deep_nesting_and_great_length_are_refused() -> None:
    with pytest.raises(TemplateError, match="nested deeper"):
        parse_template("${A:-" * 20 + "}" * 20)
    with pytest.raises(TemplateError, match="longer than"):
        filled("$V" * 20, V="x" * 100_000)


def test_all_values_of_a_file_share_one_limit() -> None:
    text = "services:\n  web:\n    image: x\n    environment:\n" + "".join(f"      A{n}: $V\n" for n in range(20))

    assert "characters from variables, write" in the_error(text, {"V": "x" * 900_000}).message


@given(TEXTS)
def test_text_without_dollars_is_left_alone(text: str) -> None:
    assert filled(text) == text


@given(st.text())
def test_doubled_dollars_protect_any_text(text: str) -> None:
    assert filled(text.replace("$", "$$")) == text


@given(NAMES, st.text())
def test_a_variable_gives_its_value_whatever_it_is(name: str, value: str) -> None:
    assert filled(f"<${{{name}}}>", **{name: value}) == f"<{value}>"


@given(NAMES, TEXTS, st.one_of(st.none(), st.text()))
def test_default_and_replacement_are_opposites(name: str, operand: str, value: str | None) -> None:
    variables = {} if value is None else {name: value}

    assert filled(f"${{{name}:-{operand}}}", **variables) == (value or operand)
    assert filled(f"${{{name}:+{operand}}}", **variables) == (operand if value else "")


@given(st.lists(st.tuples(NAMES, st.sampled_from(["", "-d", ":-d", "+r", ":+r"]), TEXTS), max_size=8))
def test_every_variable_asked_for_is_named(parts: list[tuple[str, str, str]]) -> None:
    template = parse_template("".join(f"{text}${{{name}{operator}}}" for name, operator, text in parts))

    assert set(names(template)) == {name for name, _, _ in parts}


@given(st.text(alphabet="$V{}:-+?x ", max_size=30))
def test_any_text_is_rendered_or_refused(text: str) -> None:
    try:
        filled(text, V="v")
    except TemplateError as error:
        assert "\n" not in str(error)


def test_numbers_and_booleans_are_read_from_variables() -> None:
    service = a_service(
        "read_only: ${RO:-true}\nports: ['${PORT}:80']\ndeploy:\n  replicas: ${N:-3}\n", {"PORT": "8080"}
    )

    assert (service.replicas, service.template.read_only) == (3, True)
    assert service.template.ports[0].published == 8080


def test_a_variables_content_is_a_string_where_a_string_is_wanted() -> None:
    assert a_template("user: ${UID}", {"UID": "1000"}).user == "1000"


def test_a_variables_content_cannot_add_keys() -> None:
    assert a_template("user: ${U}", {"U": "a\nprivileged: true"}).user == "a\nprivileged: true"


def test_keys_are_not_interpolated() -> None:
    assert a_template("labels: {$A: $A}", {"A": "x"}).labels == {"$A": "x"}


def test_an_unset_variable_is_empty_with_a_warning_at_its_place() -> None:
    assert the_warnings(a_file("environment:\n  A: x$B")) == [
        "compose.yaml:5:10: services.web.environment.A: the variable 'B' is not set and taken as empty, "
        "set it, or write ${B:-default}"
    ]


def test_a_template_used_twice_by_an_alias_warns_once() -> None:
    text = "x-e: &e {A: $B}\nservices:\n  a: {image: x, environment: *e}\n  b: {image: x, environment: *e}\n"

    assert len(the_warnings(text)) == 1


def test_the_stacks_name_is_a_variable() -> None:
    assert a_template("labels: {a: $COMPOSE_PROJECT_NAME}").labels == {"a": "shop"}
    assert a_template("labels: {a: $COMPOSE_PROJECT_NAME}", {"COMPOSE_PROJECT_NAME": "x"}).labels == {"a": "x"}
